-- The newest run of all.
SELECT r.id AS run_id, r.model_id, m.name AS model, r.mode, r.started_at FROM runs r JOIN models m ON m.id = r.model_id
ORDER BY r.started_at DESC, r.id DESC
LIMIT 1
