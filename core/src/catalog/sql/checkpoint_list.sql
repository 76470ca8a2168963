SELECT number, job, manifest_path, manifest, taken_ms FROM checkpoints ORDER BY number DESC
