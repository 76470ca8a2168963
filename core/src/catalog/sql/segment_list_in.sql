SELECT topic, partition, start_offset, end_offset, path, row_count, dead_count, dead_path, bytes, schema_fingerprint,
  first_timestamp_ms, last_timestamp_ms, created_ms
FROM segments WHERE topic = $1 AND partition = $2 AND start_offset < $4 AND end_offset > $3 ORDER BY start_offset
