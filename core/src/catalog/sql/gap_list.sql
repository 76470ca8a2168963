SELECT topic, partition, start_offset, end_offset, why, noted_ms FROM gaps ORDER BY topic, partition, start_offset
