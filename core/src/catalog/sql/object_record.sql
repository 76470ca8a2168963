UPDATE objects SET state = 'live', since_ms = $2, recorded_ms = $2 WHERE path = $1 AND state = 'staged'
