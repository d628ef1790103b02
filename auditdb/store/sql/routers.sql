-- The routers of one run in tree order.
SELECT x.name, x.class, x.moe_group, x.n_experts, x.top_k, x.source
FROM routers x
JOIN runs r ON r.reading_id = x.reading_id
WHERE r.id = :run
ORDER BY x.position
