SELECT number, job, manifest_path, manifest, taken_ms FROM checkpoints WHERE job = $1 ORDER BY number DESC
