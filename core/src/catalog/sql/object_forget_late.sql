DELETE FROM objects WHERE path = $1 AND state = 'deleted'
