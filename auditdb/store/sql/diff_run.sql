-- One run for a diff: identity, totals, and the ids of what it refers to (equal ids, equal content).
SELECT r.id AS run_id, m.name AS model, r.revision, t.label AS toolchain, t.transformers, r.mode, r.model_class, r.rung,
       r.started_at, r.status, r.hooks_ran,
       r.config_id, r.structure_id, r.reading_id, r.dtype_map_id, r.expectation_id, r.checkpoint_id,
       c.text AS config_text, d.default_dtype, s.input_embedding, s.output_embedding,
       s.n_modules, s.n_params, s.n_trainable, s.n_buffers, s.own_total,
       g.n_active_params, g.n_active_params_no_embedding, g.active_is_bound,
       g.n_groups, g.n_routers, g.n_experts, g.n_shared, g.n_zero,
       e.n_tensors AS n_expected,
       k.n_files, k.n_tensors, k.n_numbers, k.n_bytes, k.index_total_size
FROM runs r
JOIN models m ON m.id = r.model_id
JOIN toolchains t ON t.id = r.toolchain_id
JOIN configs c ON c.id = r.config_id
JOIN structures s ON s.id = r.structure_id
JOIN readings g ON g.id = r.reading_id
JOIN dtype_maps d ON d.id = r.dtype_map_id
LEFT JOIN expectations e ON e.id = r.expectation_id
LEFT JOIN checkpoints k ON k.id = r.checkpoint_id
WHERE r.id = :run
