-- How many tensors of one name, shape and dtype lie in files of other names.
SELECT count(*) AS n
FROM checkpoint_tensors x
WHERE x.checkpoint_id = :a
  AND EXISTS (SELECT 1 FROM checkpoint_tensors y
              WHERE y.checkpoint_id = :b AND y.name = x.name AND y.shape = x.shape AND y.dtype = x.dtype)
  AND NOT EXISTS (SELECT 1 FROM checkpoint_tensors y
                  WHERE y.checkpoint_id = :b AND y.name = x.name AND y.file = x.file)
