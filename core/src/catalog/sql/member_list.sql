SELECT id, layer, address, flight, owned, joined_ms, lease_until_ms FROM members
WHERE layer = $1 AND lease_until_ms > $2 ORDER BY id
