-- The tensors of one checkpoint.
SELECT name, file, shape, dtype, "begin", "end", indexed_in FROM checkpoint_tensors WHERE checkpoint_id = :id
