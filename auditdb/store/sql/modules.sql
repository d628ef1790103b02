-- The modules of one run in tree order.
SELECT position, name, class, parent, depth, n_params, n_trainable, n_buffers, is_router, is_expert, moe_group
FROM run_modules
WHERE run_id = :run
ORDER BY position
