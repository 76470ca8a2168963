INSERT INTO gaps (topic, partition, start_offset, end_offset, why, noted_ms) VALUES ($1, $2, $3, $4, $5, $6)
