DELETE FROM moments WHERE kind = $1
