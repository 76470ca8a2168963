-- Readings of weather stations: one stream, one lookup, two views.

-- The records' keys are in camel case, and so are these columns: quoted, they keep it.
CREATE EXTERNAL TABLE readings (
  "timeStamp" TIMESTAMP NOT NULL,
  city VARCHAR NOT NULL,
  "cityId" BIGINT,
  "tempCurrent" DOUBLE,
  "tempMin" DOUBLE,
  "tempMax" DOUBLE,
  comment VARCHAR
) STORED AS JSON LOCATION 'kafka://weather'
OPTIONS ('event_time' 'timeStamp', 'timezone' 'Europe/Vienna', 'key' 'city');

CREATE EXTERNAL TABLE cities (
  city_id BIGINT,
  city VARCHAR,
  country VARCHAR,
  latitude DOUBLE,
  longitude DOUBLE
) STORED AS CSV LOCATION 'cities.csv';

-- An hour is one of the stream's time zone.
CREATE VIEW temperature_by_hour AS
SELECT
  city,
  date_trunc('hour', "timeStamp") AS hour,
  count(*) AS readings,
  min("tempCurrent") AS min_temp,
  max("tempCurrent") AS max_temp,
  avg("tempCurrent") AS avg_temp
FROM readings
GROUP BY city, hour;

-- The last reading of each city, by time and not by arrival; `_offset` decides between readings of one moment.
CREATE VIEW latest_reading AS
SELECT
  r.city,
  c.country,
  max(r."timeStamp") AS at,
  last_value(r."tempCurrent" ORDER BY r."timeStamp", r._offset) AS temp
FROM readings AS r
LEFT JOIN cities AS c ON r."cityId" = c.city_id
GROUP BY r.city, c.country;
