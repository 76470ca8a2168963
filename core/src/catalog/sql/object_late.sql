SELECT path FROM objects WHERE state = 'deleted' AND since_ms < $1 ORDER BY since_ms, path LIMIT $2
