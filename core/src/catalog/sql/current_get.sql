SELECT g.generation, g.run_id, g.manifest_path, g.manifest, g.published_ms, g.retired_ms
FROM current_generation AS c JOIN generations AS g ON g.generation = c.generation
