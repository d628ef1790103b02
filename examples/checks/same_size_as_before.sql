-- The newest earlier run of this model had as many parameters and routed experts; no row if there is none.
SELECT earlier.run_id AS earlier_run, earlier.revision AS earlier_revision,
       earlier.n_params AS n_params_before, now.n_params, earlier.n_experts AS n_experts_before, now.n_experts
FROM run_summary AS now
JOIN run_summary AS earlier ON earlier.run_id = (
    SELECT run_id FROM run_summary
    WHERE model = now.model AND mode = now.mode AND (started_at, run_id) < (now.started_at, now.run_id)
    ORDER BY started_at DESC, run_id DESC
    LIMIT 1
)
WHERE now.run_id = :run AND (earlier.n_params <> now.n_params OR earlier.n_experts <> now.n_experts)
