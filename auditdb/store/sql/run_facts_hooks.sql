SELECT position, kind, module, shape, mean, std, detail FROM hooks WHERE run_id = :run ORDER BY position
