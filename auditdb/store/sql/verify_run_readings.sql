-- Runs whose reading is of another structure.
SELECT r.id, g.structure_id, r.structure_id FROM runs r JOIN readings g ON g.id = r.reading_id WHERE g.structure_id <> r.structure_id
