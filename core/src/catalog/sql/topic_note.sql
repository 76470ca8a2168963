INSERT INTO topics (topic, identity, noted_ms) VALUES ($1, $2, $3)
ON CONFLICT (topic) DO NOTHING
