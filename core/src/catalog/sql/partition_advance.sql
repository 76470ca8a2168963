UPDATE partitions SET next_offset = $4 WHERE topic = $1 AND partition = $2 AND next_offset = $3
