-- Whether structure :owner has a tensor under this dotted prefix ('/' is the character after '.').
SELECT EXISTS (SELECT 1 FROM parameters WHERE structure_id = :owner AND name > :prefix || '.' AND name < :prefix || '/')
