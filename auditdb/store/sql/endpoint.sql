-- The endpoint of a run, if it came from one.
SELECT url, served_name, root, version, payload
FROM endpoints
WHERE run_id = :run
