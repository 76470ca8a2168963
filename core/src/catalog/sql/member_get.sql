SELECT id, layer, address, flight, owned, joined_ms, lease_until_ms FROM members WHERE id = $1
