UPDATE jobs SET until_ms = 0
