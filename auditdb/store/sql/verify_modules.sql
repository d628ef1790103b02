-- The modules of one structure.
SELECT position, name, class, parent, depth, n_params, n_trainable, n_buffers FROM modules WHERE structure_id = :id ORDER BY position
