INSERT INTO garbage (path, since_ms) VALUES ($1, $2) ON CONFLICT (path) DO NOTHING
