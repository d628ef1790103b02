-- Expected tensors of expectation :a that :b lacks or has in another shape.
SELECT name, 0 AS position, shape FROM expected_tensors WHERE expectation_id = :a
EXCEPT
SELECT name, 0, shape FROM expected_tensors WHERE expectation_id = :b
