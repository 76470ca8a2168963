UPDATE jobs SET holder = $2, address = $3, until_ms = $4, epoch = $5 WHERE name = $1
