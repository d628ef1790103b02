-- Readings with their digests and stored totals.
SELECT id, digest, n_groups, n_routers, n_experts, n_shared, n_zero, n_active_params, n_active_params_no_embedding, active_is_bound, notes FROM readings
