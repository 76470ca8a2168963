UPDATE runs SET state = $2, finished_ms = $3, error = $4 WHERE id = $1 AND state = 'running'
