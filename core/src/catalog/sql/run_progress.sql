UPDATE runs SET row_count = $2, segment_count = $3 WHERE id = $1 AND state = 'running'
