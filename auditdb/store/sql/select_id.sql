-- One run by its id.
SELECT r.id AS run_id, r.model_id, m.name AS model, r.mode, r.started_at FROM runs r JOIN models m ON m.id = r.model_id
WHERE r.id = :run
