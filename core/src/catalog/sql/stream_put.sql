INSERT INTO streams (name, topic, schema_fingerprint) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET topic = excluded.topic, schema_fingerprint = excluded.schema_fingerprint
