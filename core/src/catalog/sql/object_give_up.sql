INSERT INTO objects (path, state, since_ms) VALUES ($1, 'garbage', $2)
ON CONFLICT (path) DO UPDATE SET state = 'garbage', since_ms = excluded.since_ms
WHERE objects.state IN ('staged', 'deleting', 'deleted')
