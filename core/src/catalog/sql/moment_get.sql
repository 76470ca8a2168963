SELECT moment_ms FROM moments WHERE kind = $1
