CREATE VIEW borough_totals AS
SELECT borough, sum(requests) AS requests, count(DISTINCT complaint_type) AS types FROM requests_by_day GROUP BY borough;

CREATE VIEW slow_agencies AS
SELECT o.agency, o.open, t.closed, t.avg_hours
FROM open_requests AS o JOIN time_to_close AS t ON o.agency = t.agency
WHERE t.avg_hours > 24;
