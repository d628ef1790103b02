-- name: no check fails
SELECT name, expected, seen, reason FROM run_integrity WHERE run_id = :run AND status = 'FAIL';

-- name: the tree was checked
-- A SKIP is no PASS: a gate that relies on a check asks whether somebody looked. Add the checks that you rely on, like
-- 'headers' and 'checkpoint' where weights lie beside the config. A dense model has no groups to check.
SELECT name, status, reason
FROM run_integrity
WHERE run_id = :run AND status = 'SKIP'
  AND (name = 'tree_total'
       OR (name = 'moe_groups' AND EXISTS (SELECT 1 FROM run_moe_groups WHERE run_id = :run)));
