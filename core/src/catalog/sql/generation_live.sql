SELECT generation, run_id, manifest_path, manifest, published_ms, retired_ms FROM generations WHERE retired_ms IS NULL
