-- The newest FAST look of this model at this revision under this toolchain; else the recorded failure of its config.
SELECT status, run_id, reason
FROM (
    SELECT r.status AS status, r.id AS run_id, r.started_at AS at, 1 AS looked,
           coalesce((SELECT group_concat(i.name || ': ' || i.reason, '; ') FROM integrity i
                     WHERE i.run_id = r.id AND i.status = 'FAIL'), '') AS reason
    FROM runs r
    JOIN models m ON m.id = r.model_id
    JOIN toolchains t ON t.id = r.toolchain_id
    WHERE m.name = :model AND r.revision = :revision AND t.label = :toolchain AND r.mode = 'fast'
    UNION ALL
    SELECT 'failed', NULL, f.at, 0, f.reason
    FROM failures f
    JOIN toolchains t ON t.id = f.toolchain_id
    WHERE f.model = :model AND f.config = :config AND t.label = :toolchain
)
ORDER BY looked DESC, at DESC, run_id DESC
LIMIT 1
