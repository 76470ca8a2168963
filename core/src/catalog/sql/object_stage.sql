INSERT INTO objects (path, state, since_ms, run_id, bytes) VALUES ($1, 'staged', $2, $3, $4)
ON CONFLICT (path) DO UPDATE SET since_ms = excluded.since_ms WHERE objects.state = 'staged'
