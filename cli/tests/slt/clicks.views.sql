CREATE VIEW clicks_per_country AS
SELECT country, sum(clicks) AS clicks, sum(total_ms) AS total_ms, max(max_ms) AS slowest FROM clicks_per_minute GROUP BY country;

CREATE VIEW loyal_users AS
SELECT user_id, clicks, rank() OVER (ORDER BY clicks DESC, user_id) AS place FROM clicks_per_user WHERE clicks > 10;
