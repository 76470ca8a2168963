SELECT id, kind, started_by, state, view_names, cuts, started_ms, finished_ms, row_count, segment_count, generation, error,
  owner, lease_until_ms, phase, row_total, segment_total, cancel_requested
FROM runs ORDER BY id DESC LIMIT $1
