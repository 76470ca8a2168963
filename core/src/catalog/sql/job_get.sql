SELECT name, pipeline, starts, created_ms, holder, address, until_ms, epoch FROM jobs WHERE name = $1
