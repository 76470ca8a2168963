SELECT name, topic, schema_fingerprint FROM streams ORDER BY name
