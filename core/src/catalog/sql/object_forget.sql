DELETE FROM objects WHERE path = $1 AND state = 'deleting' AND recorded_ms IS NOT NULL
