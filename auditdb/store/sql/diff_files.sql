-- Files of checkpoint :a that :b lacks or has otherwise.
SELECT path AS name, 0 AS position, kind, size, sha256 FROM files WHERE checkpoint_id = :a
EXCEPT
SELECT path, 0, kind, size, sha256 FROM files WHERE checkpoint_id = :b
