SELECT path FROM objects WHERE state = 'deleted' ORDER BY since_ms DESC, path LIMIT $1
