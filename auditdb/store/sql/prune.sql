-- The norms that a FULL run recorded; an `expert` of -1 is a whole tensor. NULL: the norm is not finite.
SELECT name, expert, norm, n_nan, n_inf, numel
FROM weight_stats
WHERE run_id = :run
ORDER BY name, expert
