-- Whether checkpoint :owner has a tensor under this dotted prefix ('/' is the character after '.').
SELECT EXISTS (
    SELECT 1 FROM checkpoint_tensors WHERE checkpoint_id = :owner AND name > :prefix || '.' AND name < :prefix || '/'
)
