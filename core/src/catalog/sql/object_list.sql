SELECT path, state, since_ms, recorded_ms, run_id, bytes FROM objects ORDER BY path
