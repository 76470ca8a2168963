SELECT run_id, view_name, generation, drift, compared_rows, detail FROM drifts ORDER BY run_id DESC, view_name LIMIT $1
