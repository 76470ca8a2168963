SELECT topic, partition, first_offset, next_offset FROM partitions WHERE topic = $1 AND partition = $2
