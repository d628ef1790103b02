-- The tensors of one structure.
SELECT position, module, name, kind, shape, numel, trainable, persistent, tied_to FROM parameters WHERE structure_id = :id ORDER BY position
