-- FULL: the tensors and slices that both runs measured and in which the numbers differ by more than rounding.
SELECT x.name, x.expert, x.norm AS norm_a, y.norm AS norm_b
FROM weight_stats x
JOIN weight_stats y ON y.run_id = :b AND y.name = x.name AND y.expert = x.expert
WHERE x.run_id = :a
  AND (x.n_zero <> y.n_zero OR x.n_nan <> y.n_nan OR x.n_inf <> y.n_inf OR (x.norm IS NULL) <> (y.norm IS NULL)
       OR coalesce(abs(x.norm - y.norm) > 1e-6 * max(abs(x.norm), abs(y.norm)), 0))
ORDER BY x.name, x.expert
