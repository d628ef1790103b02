-- Modules of structure :a that structure :b lacks or has otherwise, with the shapes of their own tensors.
-- The index is named because SQLite, without statistics, would scan the structure's tensors for each module.
SELECT x.name, x.position, x.class, x.n_params, x.n_trainable, x.n_buffers,
       (SELECT group_concat(p.kind || p.shape, ' ') FROM parameters p INDEXED BY ix_parameters_structure_id_module
        WHERE p.structure_id = x.structure_id AND p.module = x.position) AS own_shapes
FROM modules x
WHERE x.structure_id = :a
  AND NOT EXISTS (
      SELECT 1 FROM modules y
      WHERE y.structure_id = :b AND y.name = x.name AND y.class = x.class AND y.n_params = x.n_params
        AND y.n_trainable = x.n_trainable AND y.n_buffers = x.n_buffers
  )
