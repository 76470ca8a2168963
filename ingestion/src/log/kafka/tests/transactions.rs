//! Other people's transactions: only what is committed is read, and their markers are passed.

use super::*;

fn transactional(rig: &Rig) -> BaseProducer {
    let producer = rig.producer(&[("transactional.id", &rig.topic)]);
    producer.init_transactions(LOG_TIMEOUT).unwrap();
    producer
}

fn send(rig: &Rig, producer: &BaseProducer, values: &[&str]) {
    for value in values {
        producer.send(BaseRecord::<(), str>::to(&rig.topic).partition(0).payload(value)).unwrap();
    }
    producer.flush(LOG_TIMEOUT).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_marker_at_the_end_is_passed() {
    let Some(rig) = Rig::new("a_marker_at_the_end_is_passed").await else { return };
    let producer = transactional(&rig);
    producer.begin_transaction().unwrap();
    send(&rig, &producer, &["a", "b"]);
    producer.commit_transaction(LOG_TIMEOUT).unwrap();
    // Two records and the marker, which comes a moment later.
    until("the marker", || async { rig.bounds().await.end == 3 }).await;
    assert_eq!(rig.all(0).await, [(0, "a".to_owned()), (1, "b".to_owned())]);
    // Also for a reader that begins at the marker, and one that comes there by itself.
    let other = open(&rig.brokers);
    let page = other.read(&rig.topic, 0, 2, PLENTY).await.unwrap();
    assert_eq!((page.records.len(), page.range), (0, OffsetRange::new(2, 3)));
    rig.append(&["c"]).await;
    assert_eq!(rig.all(2).await, [(3, "c".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn aborted_records_are_not_read_but_passed() {
    let Some(rig) = Rig::new("aborted_records_are_not_read_but_passed").await else { return };
    let producer = transactional(&rig);
    rig.append(&["a"]).await;
    for _ in 0..3 {
        producer.begin_transaction().unwrap();
        send(&rig, &producer, &["no", "no"]);
        producer.abort_transaction(LOG_TIMEOUT).unwrap();
    }
    // A record, and three times two and a marker.
    until("the markers", || async { rig.bounds().await.end == 10 }).await;
    assert_eq!(rig.all(0).await, [(0, "a".to_owned())]);
    let page = open(&rig.brokers).read(&rig.topic, 0, 1, PLENTY).await.unwrap();
    assert!(page.records.is_empty() && page.range.end > 1);
    rig.append(&["b"]).await;
    assert_eq!(rig.all(0).await, [(0, "a".to_owned()), (10, "b".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_transaction_is_not_there_yet() {
    let Some(rig) = Rig::new("an_open_transaction_is_not_there_yet").await else { return };
    rig.append(&["a"]).await;
    let producer = transactional(&rig);
    producer.begin_transaction().unwrap();
    send(&rig, &producer, &["b"]);
    // A record behind it has to wait as well.
    rig.append(&["c"]).await;
    assert_eq!(rig.bounds().await.end, 1);
    assert_eq!(rig.all(0).await, [(0, "a".to_owned())]);
    let page = rig.read(1).await;
    assert!(page.records.is_empty() && page.range.is_empty());

    let waiting = rig.log.wait_past(&rig.topic, 0, 1);
    let commit = async {
        tokio::task::block_in_place(|| producer.commit_transaction(LOG_TIMEOUT)).unwrap();
    };
    let (waited, ()) = tokio::join!(waiting, commit);
    waited.unwrap();
    until("the commit", || async { rig.bounds().await.end == 4 }).await;
    assert_eq!(rig.all(0).await, [(0, "a".to_owned()), (1, "b".to_owned()), (2, "c".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn markers_alone_end_the_waiting() {
    let Some(rig) = Rig::new("markers_alone_end_the_waiting").await else { return };
    rig.append(&["a"]).await;
    rig.all(0).await;
    let producer = transactional(&rig);
    let waiting = rig.log.wait_past(&rig.topic, 0, 1);
    let abort = async {
        tokio::task::block_in_place(|| {
            producer.begin_transaction().unwrap();
            send(&rig, &producer, &["no"]);
            producer.abort_transaction(LOG_TIMEOUT).unwrap();
        });
    };
    let (waited, ()) = tokio::join!(waiting, abort);
    waited.unwrap();
    until("the marker", || async { rig.bounds().await.end == 3 }).await;
    assert_eq!(rig.all(1).await, []);
}
