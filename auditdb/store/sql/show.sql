-- One run: identity and totals.
SELECT v.*, coalesce((SELECT o.id FROM runs o WHERE o.uid = r.reused), r.reused) AS reused, r.uid, r.requested,
       r.notes, r.build_notes, r.hooks_ran, m.kind AS model_kind, g.n_zero, g.active_is_bound,
       g.notes AS reading_notes, d.default_dtype, c.digest AS config, s.digest AS structure,
       CASE WHEN k.id IS NOT NULL
            THEN (SELECT count(*) FROM files f WHERE f.checkpoint_id = k.id AND f.kind <> 'index') END AS checkpoint_files,
       k.n_tensors AS checkpoint_tensors, k.n_numbers AS checkpoint_numbers, k.n_bytes AS checkpoint_bytes,
       e.n_tensors AS expected_tensors, s.own_total,
       CASE WHEN json_valid(c.text) THEN json_extract(c.text, '$.quantization_config.quant_method') END AS quantization
FROM run_summary v
JOIN runs r ON r.id = v.run_id
JOIN models m ON m.id = r.model_id
JOIN readings g ON g.id = r.reading_id
JOIN dtype_maps d ON d.id = r.dtype_map_id
JOIN configs c ON c.id = r.config_id
JOIN structures s ON s.id = r.structure_id
LEFT JOIN checkpoints k ON k.id = r.checkpoint_id
LEFT JOIN expectations e ON e.id = r.expectation_id
WHERE v.run_id = :run
