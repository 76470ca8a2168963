-- Page views of a shop: one stream, one lookup, five views. The first three are those of the bench.

CREATE EXTERNAL TABLE clicks (
  ts TIMESTAMP NOT NULL,
  user_id BIGINT NOT NULL,
  session VARCHAR,
  page VARCHAR,
  country VARCHAR,
  ms BIGINT
) STORED AS JSON LOCATION 'kafka://clicks'
OPTIONS ('event_time' 'ts', 'key' 'user_id');

CREATE EXTERNAL TABLE countries (
  country VARCHAR,
  country_name VARCHAR,
  continent VARCHAR
) STORED AS CSV LOCATION 'countries.csv';

CREATE VIEW clicks_per_minute AS
SELECT
  date_bin(INTERVAL '1 minute', ts) AS minute,
  country,
  count(*) AS clicks,
  sum(ms) AS total_ms,
  avg(ms) AS avg_ms,
  min(ms) AS min_ms,
  max(ms) AS max_ms
FROM clicks
GROUP BY minute, country;

CREATE VIEW clicks_per_user AS
SELECT user_id, count(*) AS clicks, max(ts) AS last_seen, sum(ms) AS total_ms
FROM clicks
GROUP BY user_id;

CREATE VIEW page_stats AS
SELECT
  page,
  approx_distinct(user_id) AS users,
  approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY ms) AS p95_ms
FROM clicks
GROUP BY page;

-- In how many sessions a product was looked at: the part of the page after `/p/` is the product.
CREATE VIEW sessions_per_product AS
SELECT
  CAST(substr(page, 4) AS BIGINT) AS product,
  approx_distinct(session) AS sessions,
  count(*) AS views
FROM clicks
WHERE page LIKE '/p/%'
GROUP BY product;

CREATE VIEW clicks_per_continent AS
SELECT
  coalesce(l.continent, 'unknown') AS continent,
  date_trunc('hour', c.ts) AS hour,
  count(*) AS clicks,
  approx_distinct(c.user_id) AS users
FROM clicks AS c
LEFT JOIN countries AS l ON c.country = l.country
GROUP BY continent, hour;
