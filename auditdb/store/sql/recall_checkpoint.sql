-- The newest whole checkpoint that was seen of a model's commit.
SELECT k.id, k.index_file, k.index_total_size, k.index_metadata, k.notes
FROM runs r
JOIN models m ON m.id = r.model_id
JOIN checkpoints k ON k.id = r.checkpoint_id
WHERE m.name = :model AND r.revision = :revision AND k.incomplete = ''
ORDER BY r.id DESC
LIMIT 1
