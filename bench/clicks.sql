-- The pipeline that the throughput figures are measured with: 6 fields, about 112 bytes a record.
CREATE EXTERNAL TABLE clicks (
  ts TIMESTAMP(3), user_id BIGINT, session VARCHAR, page VARCHAR, country VARCHAR, ms BIGINT
) STORED AS JSON LOCATION 'kafka://clicks' OPTIONS ('event_time' 'ts');

CREATE VIEW per_minute AS
SELECT date_trunc('minute', ts) AS minute, country, count(*) AS clicks, sum(ms) AS total_ms, avg(ms) AS avg_ms,
       min(ms) AS min_ms, max(ms) AS max_ms
FROM clicks GROUP BY minute, country;

CREATE VIEW per_user AS
SELECT user_id, count(*) AS clicks, max(ts) AS last_seen, sum(ms) AS total_ms FROM clicks GROUP BY user_id;

CREATE VIEW per_page AS
SELECT page, approx_distinct(user_id) AS users, approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY ms) AS p95_ms
FROM clicks GROUP BY page;
