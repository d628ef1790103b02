-- The checks of one run, in the order they were made.
SELECT name, status, expected, seen, reason
FROM integrity
WHERE run_id = :run
ORDER BY position
