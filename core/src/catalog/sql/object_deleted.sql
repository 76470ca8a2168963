UPDATE objects SET state = 'deleted', since_ms = $2 WHERE path = $1 AND state = 'deleting' AND recorded_ms IS NULL
