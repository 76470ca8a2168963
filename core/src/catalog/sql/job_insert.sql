INSERT INTO jobs (name, pipeline, starts, created_ms, holder, address, until_ms, epoch)
VALUES ($1, $2, $3, $4, '', '', 0, 0)
