-- The exceptions of one dtype map.
SELECT name, dtype FROM dtype_exceptions WHERE dtype_map_id = :id
