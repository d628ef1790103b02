-- Every MoE group has as many routed experts as the others of this run, one router, and a top-k that they can fill.
-- Returns the groups that are out of line; models with two populations of experts need a query of their own.
SELECT name, n_routers, n_experts, top_k
FROM run_moe_groups
WHERE run_id = :run
  AND (n_routers <> 1
       OR top_k > n_experts
       OR n_experts <> (SELECT max(n_experts) FROM run_moe_groups WHERE run_id = :run))
