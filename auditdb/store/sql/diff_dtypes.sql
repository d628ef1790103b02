-- How many tensors that both runs have under one name were built with which two dtypes.
SELECT coalesce(ea.dtype, da.default_dtype) AS a, coalesce(eb.dtype, db.default_dtype) AS b, count(*) AS n
FROM parameters x
JOIN parameters y ON y.structure_id = :b AND y.name = x.name
JOIN dtype_maps da ON da.id = :dtypes_a
JOIN dtype_maps db ON db.id = :dtypes_b
LEFT JOIN dtype_exceptions ea ON ea.dtype_map_id = da.id AND ea.name = x.name
LEFT JOIN dtype_exceptions eb ON eb.dtype_map_id = db.id AND eb.name = x.name
WHERE x.structure_id = :a AND coalesce(ea.dtype, da.default_dtype) <> coalesce(eb.dtype, db.default_dtype)
GROUP BY 1, 2
