SELECT name, fingerprint, sql, created_ms FROM views ORDER BY name
