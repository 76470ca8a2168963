DELETE FROM drifts WHERE run_id <= (SELECT max(id) FROM runs) - $1
