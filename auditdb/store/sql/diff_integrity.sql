-- The checks of two runs side by side, where they differ; a check that a run did not make is NULL.
SELECT x.name, x.status AS status_a, y.status AS status_b, x.expected AS expected_a, y.expected AS expected_b,
       x.seen AS seen_a, y.seen AS seen_b, x.reason AS reason_a, y.reason AS reason_b, x.position
FROM integrity x
LEFT JOIN integrity y ON y.run_id = :b AND y.name = x.name
WHERE x.run_id = :a
  AND (y.status IS NULL OR y.status <> x.status
       OR (x.status = 'FAIL' AND (x.expected, x.seen, x.reason) <> (y.expected, y.seen, y.reason)))
UNION ALL
SELECT y.name, NULL, y.status, NULL, y.expected, NULL, y.seen, NULL, y.reason, y.position
FROM integrity y
WHERE y.run_id = :b AND NOT EXISTS (SELECT 1 FROM integrity x WHERE x.run_id = :a AND x.name = y.name)
ORDER BY name
