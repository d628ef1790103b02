-- The largest modules by the parameters that are theirs alone.
SELECT name, class, n_params, n_trainable, n_buffers, moe_group
FROM run_modules
WHERE run_id = :run
ORDER BY n_params DESC, position
LIMIT :limit
