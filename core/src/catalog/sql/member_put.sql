INSERT INTO members (id, layer, address, flight, owned, joined_ms, lease_until_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (id) DO UPDATE SET
  layer = excluded.layer, address = excluded.address, flight = excluded.flight, owned = excluded.owned,
  joined_ms = excluded.joined_ms, lease_until_ms = excluded.lease_until_ms
