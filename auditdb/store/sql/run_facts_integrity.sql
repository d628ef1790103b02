SELECT position, name, status, expected, seen, reason FROM integrity WHERE run_id = :run ORDER BY position
