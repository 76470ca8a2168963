UPDATE runs SET state = 'published', finished_ms = $2, generation = $3, error = $4
WHERE id = $1 AND state = 'running' AND cancel_requested = 0
