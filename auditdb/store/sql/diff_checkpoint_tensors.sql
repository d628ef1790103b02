-- Tensors on disk of checkpoint :a that :b lacks or has in another shape or dtype.
SELECT name, 0 AS position, shape, dtype FROM checkpoint_tensors WHERE checkpoint_id = :a
EXCEPT
SELECT name, 0, shape, dtype FROM checkpoint_tensors WHERE checkpoint_id = :b
