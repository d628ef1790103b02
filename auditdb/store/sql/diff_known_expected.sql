-- Whether expectation :owner has a tensor under this dotted prefix ('/' is the character after '.').
SELECT EXISTS (
    SELECT 1 FROM expected_tensors WHERE expectation_id = :owner AND name > :prefix || '.' AND name < :prefix || '/'
)
