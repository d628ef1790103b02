-- FULL: how many tensors and slices both runs measured.
SELECT count(*) AS n
FROM weight_stats x
JOIN weight_stats y ON y.run_id = :b AND y.name = x.name AND y.expert = x.expert
WHERE x.run_id = :a
