UPDATE runs SET lease_until_ms = $2 WHERE id = $1 AND state = 'running'
