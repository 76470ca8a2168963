UPDATE objects SET state = 'deleting', since_ms = $1 WHERE path IN (
  SELECT path FROM objects
  WHERE (state = 'garbage' AND since_ms <= $2)
    OR (state = 'staged' AND run_id IS NULL AND since_ms <= $3)
    OR (state = 'staged' AND run_id IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.id = objects.run_id AND runs.state = 'running'))
  ORDER BY since_ms, path LIMIT $4
)
