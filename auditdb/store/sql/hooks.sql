-- What the hooks saw in the one forward pass of a run.
SELECT kind, module, shape, mean, std, detail
FROM hooks
WHERE run_id = :run
ORDER BY position
