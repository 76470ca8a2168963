INSERT INTO partitions (topic, partition, first_offset, next_offset) VALUES ($1, $2, $3, $3)
ON CONFLICT (topic, partition) DO NOTHING
