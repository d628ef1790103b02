-- Parameters and buffers of structure :a that structure :b lacks or has otherwise.
SELECT x.name, x.position, x.kind, x.shape, x.trainable, x.persistent, x.tied_to
FROM parameters x
WHERE x.structure_id = :a
  AND NOT EXISTS (
      SELECT 1 FROM parameters y
      WHERE y.structure_id = :b AND y.name = x.name AND y.kind = x.kind AND y.shape = x.shape
        AND y.trainable = x.trainable AND y.persistent = x.persistent AND y.tied_to = x.tied_to
  )
