-- The groups of one reading.
SELECT position, name, n_routers, n_experts, n_shared, n_zero, top_k, n_params FROM moe_groups WHERE reading_id = :id ORDER BY position
