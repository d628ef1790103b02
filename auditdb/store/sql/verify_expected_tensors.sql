-- One list of expected tensors.
SELECT name, shape FROM expected_tensors WHERE expectation_id = :id ORDER BY name
