INSERT INTO views (name, fingerprint, sql, created_ms) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO UPDATE SET
  fingerprint = excluded.fingerprint, sql = excluded.sql, created_ms = excluded.created_ms
WHERE views.fingerprint <> excluded.fingerprint OR views.sql <> excluded.sql
