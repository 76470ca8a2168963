//! Partitions that are this layer's for a while, and readers that are sent what is new.

use std::sync::Arc;

use dovetail_core::offsets::OffsetRange;
use dovetail_core::realtime::Realtime;
use dovetail_testkit::fixtures::{cut, name};
use dovetail_testkit::waiting::eventually;
use tokio::sync::watch;

use super::rig::{CLICKS, Rig, config};
use crate::view_fold::Subscriber;
use dovetail_core::assignment::Assignment;

fn assignment(rig: &Rig, partitions: &[i32]) -> Assignment {
    [(rig.stream.name.clone(), partitions.iter().copied().collect())].into()
}

#[tokio::test]
async fn only_its_partitions_are_folded_and_read() {
    let mut rig = Rig::new(CLICKS).await;
    let (give, given) = watch::channel(assignment(&rig, &[1]));
    rig.assignment = Some(given);
    rig.start(config()).await;
    rig.append_clicks(0, 0, 100).await;
    rig.append_clicks(1, 0, 50).await;
    let heads = |rig: &Rig| rig.layer().head(&name("total")).unwrap().iter().collect::<Vec<_>>();
    eventually("the partition that it has", async || (heads(&rig) == [(1, 50)]).then_some(())).await;
    let realtime = rig.read("total", &cut(&[])).await;
    assert_eq!(realtime.head.partitions().collect::<Vec<_>>(), [1]);
    assert_eq!(rig.layer().status().iter().map(|status| status.partition).collect::<Vec<_>>(), [1]);
    // Another one: what was folded of the first goes.
    give.send_replace(assignment(&rig, &[0]));
    eventually("the partition that it was given", async || (heads(&rig) == [(0, 100)]).then_some(())).await;
    assert!(rig.layer().read_partition(&name("total"), 1, 0, None).await.is_none());
    give.send_replace(assignment(&rig, &[]));
    eventually("nothing to be held", async || (rig.layer().bytes() == 0).then_some(())).await;
    // Both, from the cut.
    rig.publish_all(&cut(&[30, 20])).await;
    give.send_replace(assignment(&rig, &[0, 1]));
    rig.check_all(&cut(&[30, 20])).await;
}

#[tokio::test]
async fn every_subscriber_has_a_boundary_where_its_last_slice_ended() {
    let rig = Rig::started(CLICKS).await;
    let subscribers: Vec<Arc<Subscriber>> = (0..5).map(|_| Arc::new(Subscriber)).collect();
    let mut at = vec![0; subscribers.len()];
    for round in 0..60 {
        rig.append_clicks(0, round * 10, round * 10 + 10).await;
        // Some are slower than others.
        for (i, subscriber) in subscribers.iter().enumerate().filter(|(i, _)| round % (i + 1) == 0) {
            let read = rig.layer().read_partition(&name("total"), 0, at[i], Some(subscriber)).await.unwrap().unwrap();
            let ranges: Vec<OffsetRange> = read.slices.iter().map(|slice| slice.range).collect();
            assert_eq!(ranges.first().map_or(read.head, |first| first.start), at[i]);
            at[i] = read.head;
        }
    }
    drop(subscribers);
    rig.check_all(&cut(&[])).await;
    let slices = rig.read("total", &cut(&[])).await.slices.len();
    assert!(slices <= 12, "their boundaries go with them: {slices} slices");
}
