-- The recorded revisions of a model, and under what name each was asked for.
SELECT DISTINCT revision, requested FROM runs WHERE model_id = :model
