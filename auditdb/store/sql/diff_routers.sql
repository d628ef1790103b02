-- Routers of reading :a that reading :b lacks or has otherwise.
SELECT x.name, x.position, x.class, x.n_experts, x.top_k, x.source, x.moe_group
FROM routers x
WHERE x.reading_id = :a
  AND NOT EXISTS (
      SELECT 1 FROM routers y
      WHERE y.reading_id = :b AND y.name = x.name AND y.class = x.class AND y.n_experts IS x.n_experts
        AND y.top_k IS x.top_k AND y.source = x.source
  )
