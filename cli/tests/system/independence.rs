//! Neither layer needs the other: a stalled object store does not delay the speed layer, and a speed layer that is
//! gone does not keep a batch run from being published.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, interval};

use crate::support::{Local, clicks, config, eventually, number, try_number, verify};

const PIPELINE: &str = "
    CREATE EXTERNAL TABLE clicks (ts TIMESTAMP, user_id BIGINT, page VARCHAR, ms BIGINT)
    STORED AS JSON LOCATION 'kafka://clicks' OPTIONS ('event_time' 'ts');
    CREATE VIEW total AS SELECT count(*) AS n FROM clicks;
    CREATE VIEW per_user AS SELECT user_id, count(*) AS n, sum(ms) AS total_ms FROM clicks GROUP BY user_id;
";
/// Time for which the object store does not answer.
const STALL: Duration = Duration::from_secs(30);

async fn until(local: &Local, sql: &str, expected: i64) {
    let reached = async || (try_number(&local.client, sql).await.ok()? == expected).then_some(());
    eventually(&format!("{expected} from `{sql}`"), reached).await;
}

async fn landed(local: &Local, n: i64) {
    until(local, "SELECT sum(landed) FROM sys.partitions", n).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_store_does_not_delay_the_speed_layer() {
    let mut config = config();
    config.batch.schedule = "every 2s".to_owned();
    let local = Local::start(PIPELINE, config).await;
    local.append("clicks", clicks(0, 10_000)).await;
    until(&local, "SELECT n FROM batch.total", 10_000).await;
    local.stall_store();
    let (began, mut n, mut feed) = (Instant::now(), 10_000, interval(Duration::from_millis(100)));
    while began.elapsed() < STALL {
        feed.tick().await;
        local.append("clicks", clicks(n, n + 500)).await;
        n += 500;
        until(&local, "SELECT n FROM total", n as i64).await;
        until(&local, "SELECT sum(n) FROM per_user", n as i64).await;
    }
    assert!(local.store.faults.met() > 0, "nothing met the stalled store");
    assert_eq!(number(&local.client, "SELECT n FROM batch.total").await, 10_000);
    local.store.faults.heal();
    landed(&local, n as i64).await;
    until(&local, "SELECT n FROM batch.total", n as i64).await;
    verify(&local.client, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_speed_layer_a_recompute_works() {
    let local = Local::start(PIPELINE, config()).await;
    local.append("clicks", clicks(0, 1_000)).await;
    until(&local, "SELECT n FROM total", 1_000).await;
    local.engine.stop_speed();
    local.append("clicks", clicks(1_000, 3_000)).await;
    landed(&local, 3_000).await;
    let run: Value = local.client.post("/v1/recompute", &json!({})).await.unwrap();
    assert!(run["generation"].is_u64(), "{run}");
    until(&local, "SELECT n FROM batch.total", 3_000).await;
    until(&local, "SELECT sum(n) FROM batch.per_user", 3_000).await;
    local.append("clicks", clicks(3_000, 4_000)).await;
    landed(&local, 4_000).await;
    let run: Value = local.client.post("/v1/recompute", &json!({ "full": true })).await.unwrap();
    assert!(run["generation"].is_u64(), "{run}");
    until(&local, "SELECT n FROM batch.total", 4_000).await;
    // A query that needs the speed layer fails and says so.
    let refused = try_number(&local.client, "SELECT n FROM total").await.unwrap_err().to_string();
    assert!(refused.contains("`total`") && refused.contains("has stopped"), "{refused}");
}
