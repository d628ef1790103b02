-- The faults of one checkpoint.
SELECT position, check_name, file, message FROM checkpoint_faults WHERE checkpoint_id = :id ORDER BY position
