-- The pipeline that freshness and query latency are measured with.
CREATE EXTERNAL TABLE clicks (
  ts TIMESTAMP(3), user_id BIGINT, session VARCHAR, page VARCHAR, country VARCHAR, ms BIGINT
) STORED AS JSON LOCATION 'kafka://clicks' OPTIONS ('event_time' 'ts');

CREATE VIEW groups_10k AS
SELECT user_id % 10000 AS bucket, count(*) AS clicks, sum(ms) AS total_ms, min(ms) AS min_ms, max(ms) AS max_ms,
       avg(ms) AS avg_ms
FROM clicks GROUP BY bucket;

CREATE VIEW per_user AS
SELECT user_id, count(*) AS clicks, max(ts) AS last_seen, sum(ms) AS total_ms FROM clicks GROUP BY user_id;

CREATE VIEW total AS SELECT count(*) AS clicks FROM clicks;
