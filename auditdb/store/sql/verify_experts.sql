-- The experts of one reading.
SELECT position, name, class, parent, moe_group, expert, kind, n_params, source FROM experts WHERE reading_id = :id ORDER BY position
