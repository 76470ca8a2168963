SELECT COUNT(*) FROM segments WHERE path = $1 OR dead_path = $1
