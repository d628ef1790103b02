SELECT url, served_name, root, version, payload FROM endpoints WHERE run_id = :run
