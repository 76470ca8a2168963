INSERT INTO segments (
  topic, partition, start_offset, end_offset, path, row_count, dead_count, dead_path, bytes, schema_fingerprint,
  first_timestamp_ms, last_timestamp_ms, created_ms
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
