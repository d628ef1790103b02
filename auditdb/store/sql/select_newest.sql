-- The newest run of a model, of one revision if that is given.
SELECT r.id AS run_id, r.model_id, m.name AS model, r.mode, r.started_at FROM runs r JOIN models m ON m.id = r.model_id
WHERE r.model_id = :model AND (:revision IS NULL OR r.revision = :revision)
ORDER BY r.started_at DESC, r.id DESC
LIMIT 1
