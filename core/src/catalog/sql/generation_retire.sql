UPDATE generations SET retired_ms = $2 WHERE generation = $1 AND retired_ms IS NULL
