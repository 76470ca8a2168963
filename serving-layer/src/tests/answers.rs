//! The answers of the schemas.

use std::time::Duration;

use dovetail_core::catalog::RunSign;
use dovetail_core::view::Planned;

use super::world::{PIPELINE, World, config};
use crate::Reason;

const CLICKS: [(&str, &str, i64); 5] =
    [("ann", "/a", 10), ("bob", "/b", 20), ("ann", "/a", 300), ("cid", "/c", 40), ("bob", "/a", 5)];

#[tokio::test]
async fn merged_batch_and_speed_answer_their_part() {
    let world = World::new().await;
    world.append_all(&CLICKS[..3]);
    assert!(world.publish(&[]).await);
    world.append_all(&CLICKS[3..]);
    let sql = |schema: &str| format!("SELECT page, clicks, total FROM {schema}.by_page ORDER BY page");
    assert_eq!(world.rows(&sql("public")).await, ["/a|3|315", "/b|1|20", "/c|1|40"]);
    assert_eq!(world.rows(&sql("batch")).await, ["/a|2|310", "/b|1|20"]);
    assert_eq!(world.rows(&sql("speed")).await, ["/a|1|5", "/c|1|40"]);
    assert_eq!(world.rows("SELECT * FROM everything").await, ["5|300"]);
    assert_eq!(world.rows("SELECT user_id, ms FROM slow").await, ["ann|300"]);
    assert_eq!(world.rows("SELECT page FROM busy").await, ["/a"]);
    assert_eq!(world.rows("SELECT page FROM batch.busy").await, ["/a"]);
    assert_eq!(world.rows("SELECT count(*) FROM speed.busy").await, ["0"]);
}

#[tokio::test]
async fn before_the_first_generation_everything_is_in_the_speed_layer() {
    let world = World::new().await;
    assert_eq!(world.rows("SELECT * FROM everything").await, ["0|"]);
    world.append_all(&CLICKS);
    assert_eq!(world.rows("SELECT clicks FROM by_page WHERE page = '/a'").await, ["3"]);
    let error = world.error("SELECT * FROM batch.by_page").await;
    assert_eq!(error.reason, Reason::NotReady);
    assert!(error.message.contains("nothing is published yet"), "{error}");
    assert_eq!(world.rows("SELECT state FROM sys.views WHERE name = 'by_page'").await, ["speed_only"]);
}

#[tokio::test]
async fn queries_join_filter_and_aggregate_views() {
    let world = World::new().await;
    world.append_all(&CLICKS);
    world.publish(&[]).await;
    let joined = "SELECT u.user_id, p.total FROM by_user u JOIN by_page p ON p.clicks = u.clicks + 1 ORDER BY 1";
    assert_eq!(world.rows(joined).await, ["ann|315", "bob|315"]);
    assert_eq!(world.rows("SELECT sum(clicks) FROM by_page").await, ["5"]);
    assert_eq!(world.rows("SELECT count(*) FROM by_page").await, ["3"]);
    assert_eq!(world.rows("SELECT page FROM by_page ORDER BY total DESC LIMIT 1").await, ["/a"]);
    assert_eq!(world.rows("SELECT x FROM (VALUES (1), (2)) AS t(x) WHERE x > 1").await, ["2"]);
    assert_eq!(world.rows("TABLE everything").await, ["5|300"]);
}

#[tokio::test]
async fn filters_on_groups_are_applied_before_the_merge() {
    let world = World::new().await;
    world.append_all(&CLICKS);
    world.publish(&[]).await;
    world.append(0, ("dan", "/d", 1));
    for (filter, merged) in [
        ("page = '/d'", 1),
        ("page = '/a'", 1),
        ("page IN ('/a', '/d')", 2),
        ("page LIKE '/%' AND upper(page) = '/B'", 1),
        // The value of an aggregate is known only after the merge.
        ("clicks > 2", 4),
        ("page = '/a' AND clicks > 2", 1),
    ] {
        let plan = world.rows(&format!("EXPLAIN ANALYZE SELECT total FROM by_page WHERE {filter}")).await;
        let plan = plan.join("\n");
        assert!(plan.contains(&format!("state_rows={merged}")), "{filter}: {plan}");
    }
    assert_eq!(world.rows("SELECT clicks FROM by_page WHERE page = '/d'").await, ["1"]);
}

#[tokio::test]
async fn a_view_that_no_generation_holds_says_how_far_it_is() {
    let world = World::new().await;
    world.append_all(&CLICKS);
    world.publish(&["by_page"]).await;
    let error = world.error("SELECT * FROM by_user").await;
    assert_eq!(error.reason, Reason::NotReady);
    assert!(error.message.contains("`by_user` is not filled yet and no batch run"), "{error}");
    assert!(error.hint.unwrap().contains("dovetail recompute by_user"));
    let run = world.start_run(vec![]).await;
    let sign = RunSign { rows: 42, segments: 1, ..RunSign::default() };
    world.catalog.renew_run(run, &sign, Duration::from_secs(100)).await.unwrap();
    let error = world.error("SELECT * FROM by_user").await;
    assert!(error.message.contains("has folded 42 of"), "{error}");
    // The others are answered all the same.
    assert_eq!(world.rows("SELECT count(*) FROM by_page").await, ["3"]);
    assert_eq!(world.rows("SELECT state FROM sys.views WHERE name = 'by_user'").await, ["filling"]);
}

#[tokio::test]
async fn a_state_file_that_is_gone_or_short_fails_its_view_only() {
    let world = World::new().await;
    world.append_all(&CLICKS);
    // A generation whose objects vanish before anybody has read them.
    *world.rows.reached.lock().unwrap() = Some(dovetail_core::offsets::Cut::default());
    assert!(!world.publish(&[]).await);
    let folder = world.folder.path().join("generations/00000000000000000001");
    std::fs::remove_file(folder.join("by_page-0.parquet")).unwrap();
    let user = folder.join("by_user-0.parquet");
    let bytes = std::fs::read(&user).unwrap();
    std::fs::write(&user, &bytes[..bytes.len() / 2]).unwrap();
    *world.rows.reached.lock().unwrap() = None;
    assert!(world.serving.follow().await.unwrap());
    let error = world.error("SELECT * FROM by_page").await;
    assert_eq!(error.reason, Reason::Storage);
    assert!(error.message.contains("generations/00000000000000000001/by_page-0.parquet"), "{error}");
    let error = world.error("SELECT * FROM by_user").await;
    assert!(error.message.contains("by_user-0.parquet") && error.message.contains("bytes instead of"), "{error}");
    assert_eq!(world.rows("SELECT * FROM everything").await, ["5|300"]);
    assert_eq!(world.rows("SELECT sum(clicks) FROM speed.by_page").await, [""]);
}

#[tokio::test]
async fn states_of_another_view_are_refused() {
    let fast = "CREATE VIEW by_pace AS SELECT page, count(*) AS clicks, sum(ms) AS total FROM clicks WHERE ms < 9 GROUP BY page;";
    let world = World::with(&format!("{PIPELINE}{fast}"), config()).await;
    for page in ["/a", "/b"] {
        world.append(0, ("ann", page, 5));
        world.append(1, ("bob", page, 6));
    }
    // A generation whose objects are exchanged before anybody has read them.
    *world.rows.reached.lock().unwrap() = Some(dovetail_core::offsets::Cut::default());
    assert!(!world.publish(&[]).await);
    let path = |view: &str| format!("generations/00000000000000000001/{view}-0.parquet");
    let file = |view: &str| world.folder.path().join(path(view));
    let other = std::fs::read(file("by_pace")).unwrap();
    assert_eq!(other.len(), std::fs::read(file("by_page")).unwrap().len(), "they cannot be told apart by their length");
    std::fs::write(file("by_page"), other).unwrap();
    *world.rows.reached.lock().unwrap() = None;
    assert!(world.serving.follow().await.unwrap());
    for sql in ["SELECT * FROM by_page", "SELECT * FROM batch.by_page"] {
        let error = world.error(sql).await;
        assert_eq!(error.reason, Reason::Storage);
        let [found, wanted] = ["by_pace", "by_page"].map(|name| match world.serving.layers.view(name) {
            Some(Planned::Folded(view)) => view.fingerprint.clone(),
            _ => panic!("`{name}` has states"),
        });
        let why = format!("its states are of fingerprint `{found}`, those wanted are of `{wanted}`");
        assert!(error.message.contains(&path("by_page")) && error.message.contains(&why), "{error}");
        assert!(error.hint.unwrap().contains("dovetail recompute --full"));
    }
    assert_eq!(world.rows("SELECT sum(clicks) FROM by_pace").await, ["4"]);
}

#[tokio::test]
async fn sys_tables_tell_what_there_is() {
    let world = World::new().await;
    world.append_all(&CLICKS);
    world.publish(&[]).await;
    let views = "SELECT name, state, generation, cut, head FROM sys.views WHERE name IN ('by_page', 'busy') ORDER BY 1";
    let at = r#"{"0":3,"1":2}"#;
    assert_eq!(world.rows(views).await, ["busy|derived|||".to_owned(), format!("by_page|filled|1|{at}|{at}")]);
    let partitions = "SELECT topic, partition, cut, head, log_end, state FROM sys.partitions ORDER BY 2";
    assert_eq!(world.rows(partitions).await, ["Clicks|0|3|3||reading", "Clicks|1|2|2||reading"]);
    let landing = "SELECT partition, landing_state, landing_error FROM sys.partitions ORDER BY 1";
    assert_eq!(world.rows(landing).await, ["0|stalled|the disk is full", "1|landing|"]);
    assert_eq!(world.rows("SELECT generation, state, views FROM sys.generations").await, ["1|served|4"]);
    assert_eq!(world.rows("SELECT kind, state, generation FROM sys.batch_runs").await, ["full|published|1"]);
    assert_eq!(world.rows("SELECT name, partitions FROM sys.streams").await, ["clicks|2"]);
    assert_eq!(world.rows("SELECT count(*) FROM sys.dead_letters").await, ["0"]);
    assert_eq!(world.rows("SELECT count(*) FROM raw.clicks").await, ["0"]);
    for table in ["segments", "drift", "sources", "gaps"] {
        world.try_rows(&format!("SELECT * FROM sys.{table}")).await.unwrap();
    }
    let listed = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'batch' ORDER BY 1";
    assert_eq!(world.rows(listed).await, ["busy", "by_page", "by_user", "everything", "slow"]);
}

#[tokio::test]
async fn casts_are_ordered_by_their_column_s_name() {
    let world = World::new().await;
    world.append_all(&[("ann", "/a", 9), ("bob", "/b", 10), ("cid", "/c", 101)]);
    // As text, as PostgreSQL does it.
    assert_eq!(world.rows("SELECT CAST(total AS VARCHAR) FROM by_page ORDER BY total").await, ["10", "101", "9"]);
    assert_eq!(world.rows("SELECT p.total::text FROM by_page p ORDER BY total DESC").await, ["9", "101", "10"]);
    let sql = "SELECT CAST(total AS VARCHAR) AS shown FROM by_page ORDER BY total";
    assert_eq!(world.rows(sql).await, ["9", "10", "101"]);
    let both = world.rows("SELECT total, CAST(total AS VARCHAR) FROM by_page ORDER BY 1").await;
    assert_eq!(both, ["9|9", "10|10", "101|101"]);
}

#[tokio::test]
async fn names_that_are_nearly_right_are_hinted_at() {
    let world = World::with(
        "CREATE EXTERNAL TABLE clicks (\"userId\" BIGINT) STORED AS JSON LOCATION 'kafka://Clicks'
         OPTIONS ('partitions' '2');
         CREATE VIEW by_user AS SELECT \"userId\", count(*) AS clicks FROM clicks GROUP BY \"userId\";",
        config(),
    )
    .await;
    for (sql, hint) in [
        ("SELECT * FROM clicks", "a stream is not a table: its landed records are in `raw.clicks`"),
        ("SELECT * FROM batch.clicks", "its landed records are in `raw.clicks`"),
        ("SELECT * FROM by_usr", "did you mean `by_user`?"),
        ("SELECT userId FROM by_user", "folded to lower case: write \"userId\""),
        ("SELECT b.USERID FROM by_user b", "folded to lower case: write \"userId\""),
    ] {
        let error = world.error(sql).await;
        assert!(error.hint.as_ref().is_some_and(|found| found.contains(hint)), "{sql}: {error:?}");
    }
    assert_eq!(world.error("SELECT * FROM something_else").await.hint, None);
    assert_eq!(world.rows("SELECT \"userId\" FROM by_user").await, [""; 0]);
}
