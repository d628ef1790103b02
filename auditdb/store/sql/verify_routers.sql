-- The routers of one reading.
SELECT position, name, class, moe_group, n_experts, top_k, source FROM routers WHERE reading_id = :id ORDER BY position
