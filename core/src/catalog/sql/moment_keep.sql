UPDATE moments SET moment_ms = $3 WHERE kind = $1 AND moment_ms = $2
