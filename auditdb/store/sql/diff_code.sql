-- The remote-code files that a run executed.
SELECT path AS name, sha256 FROM code_files WHERE run_id = :run ORDER BY path
