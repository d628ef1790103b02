-- Config texts with their digests.
SELECT id, digest, text FROM configs
