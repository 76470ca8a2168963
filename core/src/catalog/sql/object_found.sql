INSERT INTO objects (path, state, since_ms, bytes) VALUES ($1, $2, $3, $4) ON CONFLICT (path) DO NOTHING
