INSERT INTO generations (generation, run_id, manifest_path, manifest, published_ms) VALUES ($1, $2, $3, $4, $5)
