-- The runs, newest first. Filters that are NULL do not filter.
SELECT run_id, model, revision, mode, status, model_class, n_params, n_active_params, n_experts, started_at, toolchain,
       is_latest
FROM run_summary
WHERE (:model IS NULL OR model LIKE :model ESCAPE '\')
  AND (:revision IS NULL OR revision LIKE :revision ESCAPE '\')
  AND (:toolchain IS NULL OR toolchain LIKE :toolchain ESCAPE '\')
  AND (:mode IS NULL OR mode = :mode)
  AND (:status IS NULL OR status = :status)
ORDER BY started_at DESC, run_id DESC
LIMIT :limit OFFSET :offset
