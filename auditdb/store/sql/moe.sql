-- The MoE groups of one run in tree order, with how they were found.
SELECT g.name, g.n_routers, g.n_experts, g.n_shared, g.n_zero, g.top_k, g.n_params,
       coalesce((SELECT group_concat(DISTINCT e.source) FROM experts e
                 WHERE e.reading_id = g.reading_id AND e.moe_group = g.name), '') AS source
FROM moe_groups g
JOIN runs r ON r.reading_id = g.reading_id
WHERE r.id = :run
ORDER BY g.position
