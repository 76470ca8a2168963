SELECT state, COUNT(*) AS object_count, CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS bytes FROM objects GROUP BY state
