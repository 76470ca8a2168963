CREATE VIEW coldest_hours AS
SELECT city, hour, min_temp FROM (
  SELECT *, row_number() OVER (PARTITION BY city ORDER BY min_temp, hour) AS place FROM temperature_by_hour
) WHERE place = 1;
