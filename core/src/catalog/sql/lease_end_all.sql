UPDATE leases SET until_ms = 0
