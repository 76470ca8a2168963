//! Topics that get more partitions while nothing runs, and topics that are no longer those that they were.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dovetail_ingestion::append::PARTITIONS_SETTLE_AFTER;
use dovetail_ingestion::log::Log;
use dovetail_ingestion::log::kafka::KafkaLog;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::kafka::{BROKERS, Topic};
use crate::processes::backends::Backends;
use crate::processes::fleet::Fleet;
use crate::support::{Server, clicks, eventually, number, settings_on_demand, try_number, verify};

/// Without a key, and with one.
const PIPELINE: &str = "
    CREATE EXTERNAL TABLE clicks (ts TIMESTAMP, user_id BIGINT, page VARCHAR, ms BIGINT)
    STORED AS JSON LOCATION 'kafka://TOPIC' OPTIONS ('event_time' 'ts', 'partitions' 'N'KEY);
    CREATE VIEW total AS SELECT count(*) AS n FROM clicks;
    CREATE VIEW per_user AS SELECT user_id, count(*) AS n, sum(ms) AS total_ms FROM clicks GROUP BY user_id;
";
const KEYS: [&str; 2] = ["", ", 'key' 'user_id'"];

fn write_pipeline(folder: &Path, topic: &str, partitions: u32, key: &str) -> PathBuf {
    let path = folder.join("pipeline.sql");
    let pipeline = PIPELINE.replace("TOPIC", topic).replace("'N'", &format!("'{partitions}'")).replace("KEY", key);
    std::fs::write(&path, pipeline).unwrap();
    path
}

fn write_clicks(folder: &Path, name: &str, from: u64, to: u64) -> PathBuf {
    let path = folder.join(name);
    std::fs::File::create(&path).unwrap().write_all(&clicks(from, to)).unwrap();
    path
}

async fn partitions(server: &Server) -> i64 {
    number(&server.client(), "SELECT count(*) FROM sys.partitions").await
}

/// `dovetail ingest` says that it is done, whatever it had to send.
async fn ingest(server: &Server, file: &Path) {
    server.run(&["ingest", "clicks", "--from", file.to_str().unwrap()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_of_the_embedded_log_grows_and_no_record_comes_twice() {
    for key in KEYS {
        let folder = TempDir::new().unwrap();
        let pipeline = write_pipeline(folder.path(), "clicks", 6, key);
        let (first, second) = (
            write_clicks(folder.path(), "a.ndjson", 0, 30_000),
            write_clicks(folder.path(), "b.ndjson", 30_000, 31_000),
        );
        let mut server = Server::started(&pipeline).await;
        server.ingest("clicks", &first, 30_000).await;
        // It asks for fewer than there are, then for more.
        for (asked, there) in [(4, 6), (8, 8)] {
            server.kill().await;
            write_pipeline(folder.path(), "clicks", asked, key);
            server.start().await;
            assert_eq!(partitions(&server).await, there);
            ingest(&server, &first).await;
            server.holds(30_000).await;
        }
        let appended = reqwest::Client::new()
            .post(format!("{}/v1/streams/clicks/records?source=mine&first=0", server.url()))
            .body(clicks(40_000, 40_100));
        assert!(appended.try_clone().unwrap().send().await.unwrap().status().is_success());
        server.kill().await;
        write_pipeline(folder.path(), "clicks", 11, key);
        server.start().await;
        assert!(appended.send().await.unwrap().status().is_success());
        server.ingest("clicks", &second, 31_100).await;
        assert_eq!(number(&server.client(), "SELECT n FROM total").await, 31_100);
        let used = number(&server.client(), "SELECT count(*) FROM sys.partitions WHERE log_end > 0").await;
        assert!(used > 6, "{used} partitions have records");
        verify(&server.client(), &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_embedded_log_on_the_same_catalog_is_refused() {
    let folder = TempDir::new().unwrap();
    let pipeline = write_pipeline(folder.path(), "clicks", 2, "");
    let mut server = Server::started(&pipeline).await;
    let file = write_clicks(folder.path(), "a.ndjson", 0, 100);
    server.ingest("clicks", &file, 100).await;
    let catalog = format!("[catalog]\nurl = \"sqlite:{}\"\n", server.data().join("catalog.db").display());
    let mut other = Server::new(&pipeline, &format!("{catalog}{}", settings_on_demand()));
    other.launch();
    let (code, said) = other.ended().await;
    assert_ne!(code, Some(0), "{said}");
    assert!(said.contains("topic `clicks` is another one than this catalog knows: since "), "{said}");
    assert!(said.contains("name the log that it was in, or use another topic, or begin anew"), "{said}");
    // The first one is not disturbed, and goes on after it was stopped.
    let more = write_clicks(folder.path(), "b.ndjson", 100, 150);
    server.ingest("clicks", &more, 150).await;
    server.kill().await;
    server.start().await;
    assert_eq!(number(&server.client(), "SELECT n FROM total").await, 150);
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let copy = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &copy);
        } else {
            std::fs::copy(entry.path(), copy).unwrap();
        }
    }
}

/// Records appended to it would take the offsets of others that are landed.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_embedded_log_is_refused() {
    let folder = TempDir::new().unwrap();
    let pipeline = write_pipeline(folder.path(), "clicks", 2, "");
    let mut server = Server::started(&pipeline).await;
    let log = server.data().join("log");
    let [copy, kept] = ["copy", "kept"].map(|name| folder.path().join(name));
    server.ingest("clicks", &write_clicks(folder.path(), "a.ndjson", 0, 100), 100).await;
    server.kill().await;
    copy_folder(&log, &copy);
    server.start().await;
    server.ingest("clicks", &write_clicks(folder.path(), "b.ndjson", 100, 150), 150).await;
    let landed = async || {
        (try_number(&server.client(), "SELECT sum(landed) FROM sys.partitions").await.ok()? == 150).then_some(())
    };
    eventually("150 landed records", landed).await;
    server.kill().await;
    std::fs::rename(&log, &kept).unwrap();
    copy_folder(&copy, &log);
    server.launch();
    let (code, said) = server.ended().await;
    assert_ne!(code, Some(0), "{said}");
    assert!(said.contains("it is an older copy"), "{said}");
    std::fs::remove_dir_all(&log).unwrap();
    std::fs::rename(&kept, &log).unwrap();
    server.start().await;
    assert_eq!(number(&server.client(), "SELECT n FROM total").await, 150);
}

fn on_kafka(topic: &Topic) -> String {
    format!("[kafka]\nbrokers = \"{}\"\n{}", topic.brokers, settings_on_demand())
}

/// The process is killed with half of the file, the topic gets more partitions, the file is ingested again.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_on_after_partitions_were_added_on_kafka() {
    for key in KEYS {
        let Some(topic) = Topic::find("a_file_goes_on_after_partitions_were_added_on_kafka").await else { return };
        let folder = TempDir::new().unwrap();
        let pipeline = write_pipeline(folder.path(), &topic.name, 2, key);
        let file = write_clicks(folder.path(), "a.ndjson", 0, 60_000);
        let mut server = Server::new(&pipeline, &on_kafka(&topic));
        server.start().await;
        let rate = ["ingest", "clicks", "--from", file.to_str().unwrap(), "--rate", "15000"];
        let mut sending = server.command(&rate).spawn().unwrap();
        eventually("a part of the file", async || {
            (try_number(&server.client(), "SELECT n FROM total").await.ok()? > 20_000).then_some(())
        })
        .await;
        server.kill().await;
        sending.kill().await.unwrap();
        topic.grow_to(5).await;
        server.start().await;
        // Appends without a mark use the new partitions from now on.
        let settled = Instant::now() + PARTITIONS_SETTLE_AFTER + Duration::from_secs(1);
        ingest(&server, &file).await;
        server.holds(60_000).await;
        tokio::time::sleep_until(settled).await;
        topic.grow_to(7).await;
        ingest(&server, &file).await;
        server.holds(60_000).await;
        assert_eq!(number(&server.client(), "SELECT n FROM total").await, 60_000);
        assert_eq!(number(&server.client(), "SELECT sum(n) FROM per_user").await, 60_000);
        verify(&server.client(), &[]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_again_while_nothing_ran_is_refused_on_kafka() {
    let Some(topic) = Topic::find("a_topic_made_again_while_nothing_ran_is_refused_on_kafka").await else { return };
    let folder = TempDir::new().unwrap();
    let pipeline = write_pipeline(folder.path(), &topic.name, 2, "");
    let mut server = Server::new(&pipeline, &on_kafka(&topic));
    server.start().await;
    let file = write_clicks(folder.path(), "a.ndjson", 0, 1_000);
    server.ingest("clicks", &file, 1_000).await;
    // The same topic again is no other one.
    server.kill().await;
    server.start().await;
    server.holds(1_000).await;
    server.kill().await;

    topic.make_again(2, 3_000).await;
    server.launch();
    let (code, said) = server.ended().await;
    assert_ne!(code, Some(0), "{said}");
    let told = format!("topic `{}` is another one than this catalog knows: since ", topic.name);
    assert!(said.contains(&told), "{said}");
}

/// The processes of each layer start on a topic that has more partitions than the pipeline says.
#[tokio::test(flavor = "multi_thread")]
async fn every_process_starts_on_a_topic_with_more_partitions() {
    let Some(backends) = Backends::find("every_process_starts_on_a_topic_with_more_partitions").await else { return };
    let pipeline = PIPELINE.replace("'N'", "'2'").replace("KEY", "");
    let undisturbed = Some(BROKERS.read().await);
    let topic = Topic { brokers: backends.brokers.clone(), name: backends.topic.clone(), _undisturbed: undisturbed };
    let log = KafkaLog::open(topic.config().kafka().unwrap().unwrap()).unwrap();
    log.create_topic(&topic.name, 2).await.unwrap();
    topic.grow_to(5).await;
    let mut fleet = Fleet::new(&backends, &pipeline, settings_on_demand());
    for layer in ["ingest", "batch", "speed", "serve"] {
        fleet.add(layer, 1);
    }
    fleet.ready().await;
    let records = reqwest::Client::new().post(format!("{}/v1/streams/clicks/records", fleet.url("ingest", 1)));
    assert!(records.body(clicks(0, 500)).send().await.unwrap().status().is_success());
    let client = fleet.client("serve", 1);
    eventually("all records in the view", async || {
        (try_number(&client, "SELECT n FROM total").await.ok()? == 500).then_some(())
    })
    .await;
    assert_eq!(number(&client, "SELECT count(*) FROM sys.partitions").await, 5);
}
