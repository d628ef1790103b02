-- MoE groups of reading :a that reading :b lacks or has otherwise; `expert_params` is the size of one routed expert.
WITH banks AS (
    SELECT reading_id, moe_group,
           min(CASE WHEN kind = 'routed' THEN n_params END) AS smallest,
           max(CASE WHEN kind = 'routed' THEN n_params END) AS largest,
           min(source) AS first_source, max(source) AS last_source
    FROM experts
    WHERE reading_id IN (:a, :b)
    GROUP BY reading_id, moe_group
), sized AS (
    SELECT g.reading_id, g.name, g.position, g.n_routers, g.n_experts, g.n_shared, g.n_zero, g.top_k, g.n_params,
           CASE WHEN b.smallest = b.largest THEN b.smallest ELSE b.smallest || ' to ' || b.largest END AS expert_params,
           CASE WHEN b.first_source = b.last_source THEN b.first_source
                ELSE b.first_source || ', ' || b.last_source END AS source
    FROM moe_groups g
    LEFT JOIN banks b ON b.reading_id = g.reading_id AND b.moe_group = g.name
    WHERE g.reading_id IN (:a, :b)
)
SELECT name, 0 AS position, n_routers, n_experts, n_shared, n_zero, top_k, n_params, expert_params, source
FROM sized WHERE reading_id = :a
EXCEPT
SELECT name, 0, n_routers, n_experts, n_shared, n_zero, top_k, n_params, expert_params, source
FROM sized WHERE reading_id = :b
