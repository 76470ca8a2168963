UPDATE runs SET lease_until_ms = $2, phase = $3, row_count = $4, row_total = $5, segment_count = $6, segment_total = $7
WHERE id = $1 AND state = 'running'
