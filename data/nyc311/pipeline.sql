-- Service requests of New York City: one stream, one lookup, four views.

CREATE EXTERNAL TABLE service_requests (
  unique_key BIGINT NOT NULL,
  created_date TIMESTAMP NOT NULL,
  closed_date TIMESTAMP,
  agency VARCHAR,
  complaint_type VARCHAR,
  descriptor VARCHAR,
  location_type VARCHAR,
  incident_zip VARCHAR,
  city VARCHAR,
  community_board VARCHAR,
  borough VARCHAR,
  status VARCHAR,
  open_data_channel_type VARCHAR,
  latitude DOUBLE,
  longitude DOUBLE
) STORED AS JSON LOCATION 'kafka://ServiceRequests'
OPTIONS (
  'event_time' 'created_date',
  'timezone' 'America/New_York',
  'timestamp_format' '%m/%d/%Y %I:%M:%S %p',
  'header' 'snake_case',
  'key' 'unique_key'
);

CREATE EXTERNAL TABLE agencies (
  agency VARCHAR,
  agency_name VARCHAR
) STORED AS CSV LOCATION 'agencies.csv';

-- How many requests of each type a borough has on each (local) day, and from how many places.
CREATE VIEW requests_by_day AS
SELECT
  borough,
  complaint_type,
  date_trunc('day', created_date) AS day,
  count(*) AS requests,
  approx_distinct(incident_zip) AS zips
FROM service_requests
GROUP BY borough, complaint_type, day;

-- How long an agency takes. Requests that were closed before they were created are left out: there are some.
CREATE VIEW time_to_close AS
SELECT
  agency,
  agency_name,
  count(*) AS closed,
  avg(hours) AS avg_hours,
  approx_percentile_cont(0.5) WITHIN GROUP (ORDER BY hours) AS median_hours,
  approx_percentile_cont(0.9) WITHIN GROUP (ORDER BY hours) AS p90_hours
FROM (
  SELECT
    r.agency,
    a.agency_name,
    (date_part('epoch', r.closed_date) - date_part('epoch', r.created_date)) / 3600 AS hours
  FROM service_requests AS r
  LEFT JOIN agencies AS a ON r.agency = a.agency
  WHERE r.closed_date >= r.created_date
)
GROUP BY agency, agency_name;

-- What an agency has left to do, and since when.
CREATE VIEW open_requests AS
SELECT
  agency,
  count(*) AS total,
  count(*) FILTER (WHERE closed_date IS NULL) AS open,
  min(created_date) FILTER (WHERE closed_date IS NULL) AS oldest
FROM service_requests
GROUP BY agency;

-- A window of three hours every hour: each request counts in the three windows that hold it.
CREATE VIEW busiest_hours AS
SELECT
  borough,
  window_start,
  window_start + INTERVAL '3 hours' AS window_end,
  count(*) AS requests
FROM (
  SELECT
    borough,
    unnest([
      date_trunc('hour', created_date),
      date_trunc('hour', created_date) - INTERVAL '1 hour',
      date_trunc('hour', created_date) - INTERVAL '2 hours'
    ]) AS window_start
  FROM service_requests
)
GROUP BY borough, window_start;
