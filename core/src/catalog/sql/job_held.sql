UPDATE jobs SET epoch = epoch WHERE name = $1 AND holder = $2 AND epoch = $3
