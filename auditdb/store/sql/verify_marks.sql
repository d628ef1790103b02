-- The marks of one reading.
SELECT position, is_router, is_expert, moe_group FROM module_marks WHERE reading_id = :id ORDER BY position
