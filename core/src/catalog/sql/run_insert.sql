INSERT INTO runs (
  id, kind, started_by, state, view_names, cuts, started_ms, row_count, segment_count, owner, lease_until_ms
) VALUES ($1, $2, $3, 'running', $4, $5, $6, 0, 0, $7, $8)
