//! A year of hourly weather at three airports, from a CSV file with cells that say `NA`; and records that somebody
//! wrote down, of which one is no JSON. Expected values: Python's `csv` and `zoneinfo`, from the file alone.

use super::shared;
use super::streams::text;
use crate::support::{Server, data};

/// Names of one's own for some headers, and local days.
const PIPELINE: &str = "
CREATE EXTERNAL TABLE airports (
  airport VARCHAR NOT NULL, at TIMESTAMP NOT NULL, fahrenheit DOUBLE, gust DOUBLE, precip DECIMAL(6, 2), hour INT
) STORED AS JSON LOCATION 'kafka://airports'
OPTIONS ('event_time' 'at', 'timezone' 'America/New_York', 'null' 'NA', 'key' 'airport',
  'header.origin' 'airport', 'header.time_hour' 'at', 'header.temp' 'fahrenheit', 'header.wind_gust' 'gust');

CREATE VIEW by_airport AS
SELECT airport, count(*) AS hours, count(fahrenheit) AS temps, min(fahrenheit) AS coldest, max(fahrenheit) AS warmest,
  avg(fahrenheit) AS mean, count(gust) AS gusts, max(gust) AS strongest, sum(precip) AS rain
FROM airports GROUP BY airport;

CREATE VIEW by_day AS
SELECT airport, date_trunc('day', at) AS day, count(*) AS hours, count(DISTINCT hour) AS clocks
FROM airports GROUP BY airport, day;
";

#[tokio::test]
async fn a_year_of_hourly_weather() {
    let Some(folder) = shared("a_year_of_hourly_weather") else { return };
    let place = tempfile::tempdir().unwrap();
    let pipeline = place.path().join("pipeline.sql");
    std::fs::write(&pipeline, PIPELINE).unwrap();
    let server = Server::started(&pipeline).await;
    server.ingest("airports", &folder.join("weather/nyc_airports_hourly.csv.gz"), 26_115).await;
    for _ in 0..2 {
        counts(&server).await;
        server.run(&["recompute"]).await;
    }
}

async fn counts(server: &Server) {
    let columns = "airport, hours, temps, coldest, warmest, round(mean, 6), gusts, strongest, rain";
    let sql = format!("SELECT {columns} FROM by_airport ORDER BY airport");
    server
        .check(
            &sql,
            &[
                r#""EWR", 8703, 8702, 10.94, 100.04, 55.546553, 1802, 58.68978, 43.88"#,
                r#""JFK", 8706, 8706, 12.02, 98.06, 54.47215, 1507, 66.74524, 34.69"#,
                r#""LGA", 8706, 8706, 12.02, 98.96, 55.762605, 2028, 62.14212, 38.14"#,
            ],
        )
        .await;
    let sql = "SELECT hours, count(*) FROM by_day GROUP BY hours ORDER BY hours";
    server.check(sql, &["19, 3", "20, 6", "21, 2", "22, 10", "23, 28", "24, 1043"]).await;
    // The day that the clocks go forward has 23 hours. The file has 24 of the 25 of the other one: none at midnight,
    // and the hour 1 twice.
    let sql = "SELECT day, hours, clocks FROM by_day WHERE airport = 'JFK' AND hours = 23
        AND day BETWEEN '2013-03-10T05:00:00Z' AND '2013-03-11T00:00:00Z'";
    server.check(sql, &[r#""2013-03-10T00:00:00-05:00", 23, 23"#]).await;
    let sql = "SELECT day, hours, clocks FROM by_day WHERE airport = 'JFK' AND day = TIMESTAMP '2013-11-03 00:00:00'";
    server.check(sql, &[r#""2013-11-03T00:00:00-04:00", 24, 23"#]).await;
    server.check("SELECT count(*) FROM sys.dead_letters", &["0"]).await;
}

/// Messages as somebody wrote them down: a topic, then a record broken over two lines.
fn messages(text: &str) -> Vec<String> {
    let joined = text.replace("\"\n", "\"").replace("\"  timeStamp", "\"timeStamp");
    joined.lines().filter_map(|line| Some(line[line.find('{')?..].to_owned())).collect()
}

#[tokio::test]
async fn a_number_that_is_no_json_is_a_dead_letter() {
    let Some(folder) = shared("a_number_that_is_no_json_is_a_dead_letter") else { return };
    let file = folder.join("weather/messages_verbatim.txt");
    let server = Server::started(&data().join("weather/pipeline.sql")).await;
    let messages = messages(&std::fs::read_to_string(&file).unwrap());
    assert_eq!(messages.len(), 3);
    let place = tempfile::tempdir().unwrap();
    let records = place.path().join("messages.ndjson");
    std::fs::write(&records, messages.join("\n")).unwrap();
    server.ingest("readings", &records, 3).await;
    server
        .check(
            "SELECT city, temp FROM latest_reading ORDER BY city",
            &[r#""Mosbach", 10.959991"#, r#""Stuttgart", 9.779999"#],
        )
        .await;
    let sql = "SELECT count(*) FROM sys.dead_letters WHERE CAST(value AS VARCHAR) LIKE '{\"tempCurrent\":.670013,%'";
    server.check(sql, &["1"]).await;

    // The lines as they are: none is a record, each is kept.
    let lines = std::fs::read_to_string(&file).unwrap().lines().count() as i64;
    let from = text(&file);
    server.run(&["ingest", "readings", "--from", &from, "--input-format", "ndjson", "--force"]).await;
    server.holds(3 + lines).await;
    server.check("SELECT count(*) FROM sys.dead_letters", &[&(1 + lines).to_string()]).await;
    server.check("SELECT sum(readings) FROM temperature_by_hour", &["2"]).await;
    server.run(&["recompute"]).await;
    server.check("SELECT sum(readings) FROM temperature_by_hour", &["2"]).await;
    server.check("SELECT dead_letters FROM sys.streams", &[&(1 + lines).to_string()]).await;
}
