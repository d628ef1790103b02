-- What was wrong with the files of checkpoint :a and is not with those of :b.
SELECT check_name || ' ' || file AS name, 0 AS position, message FROM checkpoint_faults WHERE checkpoint_id = :a
EXCEPT
SELECT check_name || ' ' || file, 0, message FROM checkpoint_faults WHERE checkpoint_id = :b
