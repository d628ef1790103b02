-- Dtype maps with their digests.
SELECT id, digest, default_dtype FROM dtype_maps
