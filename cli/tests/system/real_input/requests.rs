//! All 23,360 requests: an ingest that is killed in the middle, one that continues it, one for nothing, and what the
//! views then say. The expected values were worked out with Python's `json`, `zoneinfo` and `statistics` from the
//! file alone.

use crate::support::{Server, data};

use super::shared;
use super::streams::text;

const RECORDS: i64 = 23_360;

/// Kills an ingest once it has brought some records; returns how many are in the log, which are not all.
async fn interrupt(server: &Server, file: &str, before: i64) -> i64 {
    let mut ingest = server.command(&["ingest", "service_requests", "--from", file, "--rate", "6000"]);
    let mut ingest = ingest.spawn().unwrap();
    let logged = || async { server.rows("SELECT sum(log_end) FROM sys.partitions").await[0].parse::<i64>().unwrap() };
    while logged().await < before + 2_000 {
        assert!(ingest.try_wait().unwrap().is_none(), "the ingest ended by itself");
    }
    ingest.kill().await.unwrap();
    let logged = logged().await;
    assert!(logged < RECORDS, "{logged} records: this interrupts nothing");
    logged
}

#[tokio::test]
async fn all_requests_arrive_once_and_are_counted() {
    let Some(folder) = shared("all_requests_arrive_once_and_are_counted") else { return };
    let file = text(&folder.join("nyc311/service_requests.ndjson.gz"));
    let server = Server::started(&data().join("nyc311/pipeline.sql")).await;
    let first = interrupt(&server, &file, 0).await;
    // A request that was under way when the ingest died may arrive later.
    server.wait_for("SELECT sum(log_end) = sum(landed) FROM sys.partitions", "true").await;
    server.run(&["recompute"]).await;
    interrupt(&server, &file, first).await;
    server.run(&["ingest", "service_requests", "--from", &file]).await;
    server.holds(RECORDS).await;
    counts(&server).await;

    server.run(&["recompute"]).await;
    let again = server.run(&["ingest", "service_requests", "--from", &file]).await;
    server.holds(RECORDS).await;
    assert!(again.contains("were in the log before"), "{again}");
    counts(&server).await;
    let verdict = server.run(&["verify"]).await;
    assert_eq!(verdict.matches("no difference").count(), 4, "{verdict}");
}

async fn counts(server: &Server) {
    let check = async |sql: &str, expected: &[&str]| server.check(sql, expected).await;
    check("SELECT count(*), count(DISTINCT unique_key) FROM raw.service_requests", &["23360, 23360"]).await;
    check("SELECT count(*) FROM sys.dead_letters", &["0"]).await;
    check(
        "SELECT borough, sum(requests) FROM requests_by_day GROUP BY borough ORDER BY borough",
        &[
            r#""BRONX", 7847"#,
            r#""BROOKLYN", 5839"#,
            r#""MANHATTAN", 5008"#,
            r#""QUEENS", 3920"#,
            r#""STATEN ISLAND", 447"#,
            r#""Unspecified", 299"#,
        ],
    )
    .await;
    check(
        "SELECT agency, total, open, oldest FROM open_requests WHERE total > 200 ORDER BY total DESC",
        &[
            r#""DOB", 14574, 1, "2012-11-19T19:36:50-05:00""#,
            r#""NYPD", 4245, 1128, "2013-10-30T22:41:35-04:00""#,
            r#""HPD", 2211, 529, "2013-10-31T00:00:00-04:00""#,
            r#""DOT", 713, 126, "2012-11-15T09:24:41-05:00""#,
            r#""DOHMH", 303, 111, "2011-03-01T10:14:03-05:00""#,
            r#""DSNY", 283, 102, "2012-11-20T07:05:11-05:00""#,
            r#""DOF", 265, 1, "2013-10-30T22:32:15-04:00""#,
            r#""DEP", 219, 76, "2013-10-30T22:31:00-04:00""#,
        ],
    )
    .await;
    check("SELECT count(*), sum(total), sum(open) FROM open_requests", &["21, 23360, 2204"]).await;
    // Of the 21,156 that were closed, 39 were before they were created: in time, not by the clocks.
    check("SELECT sum(closed) FROM time_to_close", &["21117"]).await;
    check(
        "SELECT agency, agency_name, closed, round(avg_hours, 6) FROM time_to_close WHERE closed > 600 ORDER BY 1",
        &[
            r#""DOB", "Department of Buildings", 14573, 1206.733396"#,
            r#""HPD", "Department of Housing Preservation and Development", 1682, 524.872303"#,
            r#""NYPD", "New York City Police Department", 3117, 2.912629"#,
        ],
    )
    .await;
    check("SELECT count(*) FROM time_to_close WHERE agency = 'NYPD' AND abs(median_hours - 0.7942) < 0.04", &["1"])
        .await;
    check("SELECT count(*) FROM requests_by_day", &["3490"]).await;
    check(
        "SELECT complaint_type, requests FROM requests_by_day ORDER BY requests DESC LIMIT 3",
        &[r#""Noise - Residential", 88"#, r#""Noise - Residential", 85"#, r#""Street Condition", 67"#],
    )
    .await;
    check("SELECT count(*), sum(requests) FROM busiest_hours", &["21807, 70080"]).await;
    check(
        "SELECT * FROM busiest_hours ORDER BY requests DESC, window_start LIMIT 1",
        &[r#""Unspecified", "2023-12-09T23:00:00-05:00", "2023-12-10T02:00:00-05:00", 218"#],
    )
    .await;
}
