-- The newest FAST run of a config under a toolchain whose structure may be taken over.
-- The index is named because SQLite, without statistics, would walk all runs of the toolchain, which may be every run.
SELECT r.id, s.id, s.digest, s.own_total, s.input_embedding, s.output_embedding, d.id, d.default_dtype,
       r.expectation_id, r.model_class, r.rung, r.build_notes
FROM runs r INDEXED BY ix_runs_config_id
JOIN configs c ON c.id = r.config_id
JOIN toolchains t ON t.id = r.toolchain_id
JOIN structures s ON s.id = r.structure_id
JOIN dtype_maps d ON d.id = r.dtype_map_id
WHERE c.digest = :config AND t.label = :toolchain AND r.mode = 'fast' AND r.reusable = 1 AND r.reused = ''
ORDER BY r.id DESC
LIMIT 1
