INSERT INTO checkpoints (number, job, manifest_path, manifest, taken_ms) VALUES ($1, $2, $3, $4, $5)
