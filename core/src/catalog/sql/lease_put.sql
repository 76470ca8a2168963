INSERT INTO leases (name, holder, until_ms, epoch) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until_ms = excluded.until_ms, epoch = excluded.epoch
