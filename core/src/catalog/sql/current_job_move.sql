UPDATE current_job SET job = $1, previous = $2, switched_ms = $3 WHERE id = 1
