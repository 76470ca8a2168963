SELECT path FROM objects WHERE state = 'deleting' ORDER BY since_ms DESC, path LIMIT $1
