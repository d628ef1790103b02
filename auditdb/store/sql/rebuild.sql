-- What a run was built from, and the digests of what came of it.
SELECT r.id AS run_id, r.mode, r.rung, r.model_class, t.label AS toolchain, c.text AS config_text,
       s.digest AS structure, d.digest AS dtypes, g.digest AS reading, coalesce(e.digest, '') AS expected,
       EXISTS (SELECT 1 FROM code_files f WHERE f.run_id = r.id) AS remote_code
FROM runs r
JOIN toolchains t ON t.id = r.toolchain_id
JOIN configs c ON c.id = r.config_id
JOIN structures s ON s.id = r.structure_id
JOIN dtype_maps d ON d.id = r.dtype_map_id
JOIN readings g ON g.id = r.reading_id
LEFT JOIN expectations e ON e.id = r.expectation_id
WHERE r.id = :run
