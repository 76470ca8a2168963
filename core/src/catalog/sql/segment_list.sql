SELECT topic, partition, start_offset, end_offset, path, row_count, dead_count, dead_path, bytes, schema_fingerprint,
  first_timestamp_ms, last_timestamp_ms, created_ms
FROM segments WHERE topic = $1 ORDER BY partition, start_offset
