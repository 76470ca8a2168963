//! A verification that is given up has ended: it is not shown as going on, and the next one begins anew.

use serde_json::{Value, json};

use crate::support::{Local, clicks, config, eventually, try_number, verify};

const PIPELINE: &str = "
    CREATE EXTERNAL TABLE clicks (ts TIMESTAMP, user_id BIGINT, page VARCHAR, ms BIGINT)
    STORED AS JSON LOCATION 'kafka://clicks' OPTIONS ('partitions' '1');
    CREATE VIEW total AS SELECT count(*) AS n FROM clicks;
";

#[tokio::test(flavor = "multi_thread")]
async fn a_verification_whose_client_is_gone_has_ended() {
    let local = Local::start(PIPELINE, config()).await;
    local.append("clicks", clicks(0, 100)).await;
    let reached = async |sql: &str| (try_number(&local.client, sql).await.ok()? == 100).then_some(());
    eventually("100 landed records", async || reached("SELECT landed FROM sys.partitions").await).await;
    let run: Value = local.client.post("/v1/recompute", &json!({})).await.unwrap();
    assert_eq!(run["generation"], 1, "{run}");
    eventually("100 records", async || reached("SELECT n FROM total").await).await;
    // Verification reads from the landing, which stalls.
    local.engine.log.trim("clicks", 0, 100).await.unwrap();
    local.stall_store();
    let progress = async || local.client.get::<Value>("/v1/verify").await.unwrap();
    let begun = async || (progress().await["view"] == "total").then_some(());
    let all = json!({});
    tokio::select! {
        answer = local.client.post::<Value>("/v1/verify", &all) => panic!("{answer:?}"),
        () = eventually("a verification in progress", begun) => {}
    }
    let given_up = eventually("its end", async || {
        let progress = progress().await;
        progress["view"].is_null().then_some(progress)
    });
    let given_up = given_up.await;
    assert_eq!((&given_up["number"], &given_up["records_done"]), (&json!(1), &json!(0)), "{given_up}");
    local.store.faults.heal();
    verify(&local.client, &[]).await;
    let done = progress().await;
    assert_eq!(done, json!({"number": 2, "view": null, "records_done": 100, "records": 100}));
}
