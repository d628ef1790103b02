-- Everything scalar that a run's digest covers. Ids are left out: they change when stores merge.
SELECT r.uid, m.name AS model, m.kind AS model_kind, r.revision, r.requested, t.label AS toolchain,
       t.python, t.torch, t.transformers, t.accelerate, t.safetensors, t.huggingface_hub, t.auditdb,
       r.mode, r.status, r.model_class, r.rung, r.reusable, r.reused, r.started_at, r.duration_ms, r.hooks_ran, r.notes, r.build_notes,
       c.digest AS config, s.digest AS structure, g.digest AS reading, d.digest AS dtypes,
       e.digest AS expectation, k.digest AS checkpoint,
       s.n_modules, s.n_params, s.n_trainable, s.n_buffers,
       g.n_groups, g.n_routers, g.n_experts, g.n_shared, g.n_zero,
       g.n_active_params, g.n_active_params_no_embedding, g.active_is_bound
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
