INSERT INTO drifts (run_id, view_name, generation, drift, compared_rows, detail) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (run_id, view_name) DO UPDATE SET
  generation = excluded.generation, drift = excluded.drift, compared_rows = excluded.compared_rows, detail = excluded.detail
WHERE excluded.drift IS NOT NULL AND (drifts.drift IS NULL OR excluded.drift > drifts.drift)
