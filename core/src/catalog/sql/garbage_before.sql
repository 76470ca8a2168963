SELECT path FROM garbage WHERE since_ms < $1 ORDER BY since_ms, path
