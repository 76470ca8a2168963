//! Records: what Kafka has that a value does not, and what it leaves out.

use dovetail_core::clock::Clock;
use rdkafka::message::{Header, OwnedHeaders};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn what_others_write_is_read() {
    let Some(rig) = Rig::new("what_others_write_is_read").await else { return };
    let producer = rig.producer(&[]);
    let headers = OwnedHeaders::new()
        .insert(Header { key: "twice", value: Some("1") })
        .insert(Header { key: "none", value: None::<&str> })
        .insert(Header { key: "twice", value: Some("2") });
    let binary = OwnedHeaders::new().insert(Header { key: "bytes", value: Some(&[0_u8, 255][..]) });
    let record = || BaseRecord::<str, str>::to(&rig.topic).partition(0).timestamp(7);
    producer.send(record().key("k").headers(headers)).unwrap();
    producer.send(record().payload("v").headers(binary)).unwrap();
    producer.flush(LOG_TIMEOUT).unwrap();

    let page = rig.read(0).await;
    let records = &page.records;
    assert_eq!(records.timestamps.values().to_vec(), [7, 7]);
    assert!(records.values.is_null(0) && records.keys.is_null(1));
    assert_eq!((records.keys.value(0), records.values.value(1)), (&b"k"[..], &b"v"[..]));
    assert_eq!(records.headers.value(0), r#"{"twice":["1","2"],"none":null}"#);
    assert_eq!(records.headers.value(1), r#"{"bytes":{"hex":"00ff"}}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compacted_partition_is_read_to_its_end() {
    let compact = |config: &mut KafkaConfig| {
        for (name, value) in [
            ("cleanup.policy", "compact"),
            ("segment.ms", "100"),
            ("min.cleanable.dirty.ratio", "0.01"),
            ("max.compaction.lag.ms", "100"),
            ("delete.retention.ms", "0"),
        ] {
            config.topic.insert(name.to_owned(), value.to_owned());
        }
    };
    let Some(rig) = Rig::with("a_compacted_partition_is_read_to_its_end", compact).await else { return };
    // Segments are closed when something is appended after their time, by the times of records.
    let append = async |value: &str| {
        let mut records = Records::from_values(Clock::System.now_ms(), [value.as_bytes()]);
        records.keys = [Some(b"one")].into_iter().collect();
        rig.log.append(&rig.topic, 0, records, None).await.unwrap();
    };
    for i in 0..20 {
        append(&i.to_string()).await;
    }
    let shrunk = || async {
        append("last").await;
        let all = rig.all(0).await;
        let end = rig.bounds().await.end;
        (all.len() as i64) < end - 5
    };
    until("compaction", shrunk).await;
    let all = rig.all(0).await;
    assert_eq!(all.last().map(|(_, value)| value.as_str()), Some("last"));
    // Wherever a reader begins, also in a hole, it sees the same from there on.
    let end = rig.bounds().await.end;
    for from in 0..end {
        let seen = rig.all(from).await;
        assert!(seen.iter().all(|(offset, _)| *offset >= from));
        assert_eq!(seen.last(), all.last(), "from {from}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_that_are_apart_do_not_disturb_each_other() {
    let Some(rig) = Rig::new("readers_that_are_apart_do_not_disturb_each_other").await else { return };
    let values: Vec<String> = (0..5000).map(|i| format!("value {i}")).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    rig.append(&values).await;
    let reader = async |page_bytes: usize| {
        let (mut at, mut seen) = (0, Vec::new());
        while at < 5000 {
            let page = rig.log.read(&rig.topic, 0, at, page_bytes).await.unwrap();
            seen.extend(texts(&page.records));
            at = page.range.end;
        }
        seen
    };
    // More readers than lanes.
    let (a, b, c, d, e) = tokio::join!(reader(500), reader(3000), reader(7000), reader(20_000), reader(PLENTY));
    for seen in [a, b, c, d, e] {
        assert_eq!(seen, values);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_who_wait_are_woken() {
    let Some(rig) = Rig::new("all_who_wait_are_woken").await else { return };
    for round in 0..20 {
        let wait = || rig.log.wait_past(&rig.topic, 0, round);
        let given_up = tokio::time::timeout(Duration::from_millis(1), wait());
        assert!(given_up.await.is_err(), "waiting ends when it is given up");
        let (one, two, _) = tokio::join!(wait(), wait(), rig.append(&["x"]));
        one.unwrap();
        two.unwrap();
        assert_eq!(rig.read(round).await.range, OffsetRange::new(round, round + 1));
    }
}
