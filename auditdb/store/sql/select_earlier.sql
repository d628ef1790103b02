-- The runs of a model before one of its runs, of the same mode, newest first.
SELECT r.id AS run_id, r.model_id, m.name AS model, r.mode, r.started_at FROM runs r JOIN models m ON m.id = r.model_id
WHERE r.model_id = :model AND r.mode = :mode AND (:revision IS NULL OR r.revision = :revision)
  AND (r.started_at, r.id) < (:started, :run)
ORDER BY r.started_at DESC, r.id DESC
LIMIT 1 OFFSET :skip
