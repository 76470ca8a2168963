SELECT generation, run_id, manifest_path, manifest, published_ms, retired_ms FROM generations WHERE generation = $1
