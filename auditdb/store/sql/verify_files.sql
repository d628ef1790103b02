-- The files of one checkpoint.
SELECT path, kind, size, sha256, header_bytes FROM files WHERE checkpoint_id = :id
