-- Index entries without a tensor in checkpoint :a that :b has not.
SELECT name, 0 AS position, file FROM index_strays WHERE checkpoint_id = :a
EXCEPT
SELECT name, 0, file FROM index_strays WHERE checkpoint_id = :b
