-- name: no check fails
SELECT name, expected, seen, reason FROM run_integrity WHERE run_id = :run AND status = 'FAIL';

-- name: the checks that matter were made
-- A SKIP is no PASS: a gate that relies on a check asks whether somebody looked.
SELECT name, status, reason
FROM run_integrity
WHERE run_id = :run AND name IN ('tree_total', 'moe_groups') AND status = 'SKIP';
