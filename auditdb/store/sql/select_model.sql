-- One model by its full name.
SELECT id, name FROM models WHERE name = :name
