-- Runs with their digests.
SELECT id, digest, status FROM runs ORDER BY id
