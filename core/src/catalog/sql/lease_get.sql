SELECT holder, until_ms, epoch FROM leases WHERE name = $1
