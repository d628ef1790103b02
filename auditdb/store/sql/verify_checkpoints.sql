-- Checkpoints with their digests and stored totals.
SELECT id, digest, n_files, n_tensors, n_numbers, n_bytes, index_file, index_total_size, index_metadata, notes, incomplete FROM checkpoints
