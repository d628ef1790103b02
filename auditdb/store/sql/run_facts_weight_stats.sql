SELECT name, expert, norm, n_zero, n_nan, n_inf, numel FROM weight_stats WHERE run_id = :run ORDER BY name, expert
