SELECT topic, partition, start_offset, end_offset, why, noted_ms FROM gaps
WHERE topic = $1 AND partition = $2 AND start_offset = $3
