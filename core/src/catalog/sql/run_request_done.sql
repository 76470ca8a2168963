DELETE FROM wishes WHERE started_by = $1 AND number = $2
