-- How many weight files of a checkpoint have no digest, so that equal headers say nothing of equal values.
SELECT count(*) AS n FROM files WHERE checkpoint_id = :a AND kind <> 'index' AND sha256 = ''
