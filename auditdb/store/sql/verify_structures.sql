-- Structures with their digests and stored totals.
SELECT id, digest, n_modules, n_params, n_trainable, n_buffers, own_total, input_embedding, output_embedding FROM structures
