-- The logical experts of one run in tree order.
SELECT x.name, x.class, x.parent, x.moe_group, x.expert, x.kind, x.n_params, x.source
FROM experts x
JOIN runs r ON r.reading_id = x.reading_id
WHERE r.id = :run
ORDER BY x.position
