UPDATE jobs SET until_ms = 0 WHERE name = $1 AND holder = $2
