SELECT name, pipeline, starts, created_ms, holder, address, until_ms, epoch FROM jobs ORDER BY created_ms, name
