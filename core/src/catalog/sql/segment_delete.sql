DELETE FROM segments WHERE path = $1
