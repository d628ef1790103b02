SELECT path, sha256 FROM code_files WHERE run_id = :run ORDER BY path
