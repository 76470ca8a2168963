SELECT
  CAST(COALESCE(SUM(row_count), 0) AS BIGINT) AS row_count,
  CAST(COALESCE(SUM(dead_count), 0) AS BIGINT) AS dead_count,
  CAST(COALESCE(SUM(bytes), 0) AS BIGINT) AS bytes,
  COUNT(*) AS segment_count
FROM segments WHERE topic = $1
