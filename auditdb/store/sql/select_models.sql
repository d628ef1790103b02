-- All models that have runs.
SELECT id, name FROM models WHERE EXISTS (SELECT 1 FROM runs WHERE runs.model_id = models.id) ORDER BY name
