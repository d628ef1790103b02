-- Lists of expected tensors with their digests.
SELECT id, digest, n_tensors FROM expectations
