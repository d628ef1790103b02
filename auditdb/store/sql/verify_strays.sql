-- The index entries without a tensor of one checkpoint.
SELECT name, file FROM index_strays WHERE checkpoint_id = :id
