//! Topics that change while they are read.

use rdkafka::admin::NewPartitions;

use super::*;

async fn make_again(rig: &Rig, values: &[&str]) {
    rig.delete_topic().await;
    let other = open(&rig.brokers);
    until("the new topic", || async { other.create_topic(&rig.topic, 1).await.is_ok() }).await;
    other.append(&rig.topic, 0, values_of(values), None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_again_is_not_continued() {
    let Some(rig) = Rig::new("a_topic_made_again_is_not_continued").await else { return };
    rig.append(&["a", "b"]).await;
    assert_eq!(rig.values().await, ["a", "b"]);
    let before = rig.log.identity(&rig.topic).await.unwrap();
    assert!(before.is_some());
    // It reaches past where the reader is: offsets alone tell nothing.
    make_again(&rig, &["1", "2", "3", "4", "5"]).await;

    let read = async {
        loop {
            match rig.log.read(&rig.topic, 0, 2, PLENTY).await {
                Ok(page) => assert!(page.records.is_empty(), "records of another topic: {:?}", texts(&page.records)),
                // For a moment it may be a broker that has not heard of it.
                Err(LogError::Unreachable { .. }) => {}
                Err(error) => break error,
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(60), read).await.unwrap();
    assert!(matches!(error, LogError::Recreated { .. } | LogError::NoSuchTopic { .. }), "{error}");
    for result in [
        rig.log.bounds(&rig.topic, 0).await.map(|_| ()),
        rig.log.append(&rig.topic, 0, values_of(&["x"]), None).await.map(|_| ()),
        rig.log.wait_past(&rig.topic, 0, 2).await,
        rig.log.identity(&rig.topic).await.map(|_| ()),
    ] {
        assert!(matches!(result, Err(LogError::Recreated { .. })), "{result:?}");
    }
    // A reader that begins anew sees the new topic.
    let other = open(&rig.brokers);
    let after = other.identity(&rig.topic).await.unwrap();
    assert!(after.is_some() && after != before);
    let page = other.read(&rig.topic, 0, 0, PLENTY).await.unwrap();
    assert_eq!(texts(&page.records), ["1", "2", "3", "4", "5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_notices_that_the_topic_is_gone() {
    let Some(rig) = Rig::new("who_waits_notices_that_the_topic_is_gone").await else { return };
    rig.append(&["a"]).await;
    rig.all(0).await;
    let waiting = rig.log.wait_past(&rig.topic, 0, 1);
    let (waited, ()) = tokio::join!(tokio::time::timeout(Duration::from_secs(60), waiting), rig.delete_topic());
    let error = waited.unwrap().unwrap_err();
    assert!(matches!(error, LogError::NoSuchTopic { .. } | LogError::Unreachable { .. }), "{error}");
    until("no such topic", || async {
        matches!(rig.log.partitions(&rig.topic).await, Err(LogError::NoSuchTopic { .. }))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_retention_deleted_is_an_error() {
    let Some(rig) = Rig::new("what_retention_deleted_is_an_error").await else { return };
    let values: Vec<String> = (0..100).map(|i| i.to_string()).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    rig.append(&values).await;
    let page = rig.log.read(&rig.topic, 0, 0, 10).await.unwrap();
    let at = page.range.end;
    rig.log.trim(&rig.topic, 0, 60).await.unwrap();
    let gone = open(&rig.brokers).read(&rig.topic, 0, at, PLENTY).await;
    match gone {
        Err(LogError::Trimmed { offset, first: 60, .. }) => assert_eq!(offset, at),
        other => panic!("{other:?}"),
    }
    assert_eq!(rig.all(60).await.len(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_are_added_are_found() {
    let Some(rig) = Rig::new("partitions_that_are_added_are_found").await else { return };
    rig.append(&["a"]).await;
    let more = rig.admin().create_partitions(&[NewPartitions::new(&rig.topic, 3)], &AdminOptions::new()).await;
    assert!(more.unwrap()[0].is_ok());
    until("the new partitions", || async { rig.log.partitions(&rig.topic).await.unwrap() == 3 }).await;
    rig.log.append(&rig.topic, 2, values_of(&["b"]), None).await.unwrap();
    let page = rig.log.read(&rig.topic, 2, 0, PLENTY).await.unwrap();
    assert_eq!(texts(&page.records), ["b"]);
    assert_eq!(rig.values().await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_again_with_fewer_partitions_is_another_one() {
    let Some(rig) = Rig::new("a_topic_made_again_with_fewer_partitions_is_another_one").await else { return };
    let more = rig.admin().create_partitions(&[NewPartitions::new(&rig.topic, 3)], &AdminOptions::new()).await;
    assert!(more.unwrap()[0].is_ok());
    until("the new partitions", || async { rig.log.partitions(&rig.topic).await.unwrap() == 3 }).await;
    rig.log.append(&rig.topic, 2, values_of(&["a", "b"]), None).await.unwrap();
    assert_eq!(texts(&rig.log.read(&rig.topic, 2, 0, PLENTY).await.unwrap().records), ["a", "b"]);
    make_again(&rig, &["1"]).await;
    until("the log to see that it is another one", || async {
        matches!(rig.log.bounds(&rig.topic, 2).await, Err(LogError::Recreated { .. }))
    })
    .await;
    for result in [
        rig.log.partitions(&rig.topic).await.map(|_| ()),
        rig.log.bounds(&rig.topic, 2).await.map(|_| ()),
        rig.log.read(&rig.topic, 2, 2, PLENTY).await.map(|_| ()),
        rig.log.wait_past(&rig.topic, 2, 2).await,
        rig.log.append(&rig.topic, 2, values_of(&["x"]), None).await.map(|_| ()),
        rig.log.source_position(&rig.topic, 2, "s").await.map(|_| ()),
    ] {
        assert!(matches!(result, Err(LogError::Recreated { .. })), "{result:?}");
    }
}
