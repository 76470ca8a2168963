INSERT INTO moments (kind, moment_ms) VALUES ($1, $2) ON CONFLICT (kind) DO NOTHING
