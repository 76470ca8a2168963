//! One view in one partition, step by step.

use std::sync::Arc;

use dovetail_core::offsets::OffsetRange;
use dovetail_ingestion::decoded_log::DecodedLog;
use dovetail_testkit::fixtures::cut;

use super::rig::{CLICKS, Rig};
use crate::desired_state::{DesiredState, Start};
use crate::purpose::Purpose;
use crate::view_fold::ViewFold;

const LOG: OffsetRange = OffsetRange { start: 0, end: i64::MAX };

fn target(start: i64) -> DesiredState {
    DesiredState { start: Start::Cut(cut(&[start])), previous: None, coming: vec![] }
}

async fn fold_one(fold: &mut ViewFold, decoded_log: &DecodedLog) {
    let head = fold.head().unwrap();
    let decoded = decoded_log.read(0, head).await.unwrap().between(head, head + 1);
    fold.fold(&decoded).await;
}

#[tokio::test]
async fn slices_stay_few_however_often_they_are_sealed() {
    let rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 0, 1500).await;
    let decoded_log = rig.decoded_log().await;
    for view in &rig.views {
        let mut fold = ViewFold::new(Arc::clone(view), 0, Purpose::Realtime, None);
        fold.apply(target(0), LOG);
        let mut most = 0;
        for i in 0..1500 {
            fold_one(&mut fold, &decoded_log).await;
            if i % 100 == 50 {
                // Ends of segments: they are forgotten when there are newer ones.
                fold.expect(i);
            }
            fold.seal();
            fold.tidy();
            most = most.max(fold.slices());
        }
        let (slices, head) = fold.read(0).unwrap();
        assert_eq!((slices.last().unwrap().range.end, head), (1500, 1500));
        assert!(most <= 8 * 5, "{}: {most} slices", view.name);
    }
}

#[tokio::test]
async fn a_boundary_at_the_end_of_a_batch_is_one() {
    let rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 0, 100).await;
    let decoded_log = rig.decoded_log().await;
    let mut fold = ViewFold::new(Arc::clone(rig.view("total")), 0, Purpose::Realtime, None);
    fold.apply(target(0), LOG);
    let end = decoded_log.read(0, 0).await.unwrap().range.end;
    fold.expect(end);
    while fold.head().unwrap() < 100 {
        let decoded = decoded_log.read(0, fold.head().unwrap()).await.unwrap();
        fold.fold(&decoded).await;
    }
    fold.apply(target(end), LOG);
    assert_eq!(fold.next_again(), None);
    assert_eq!(fold.read(end).unwrap().0[0].range, OffsetRange::new(end, 100));
}

#[tokio::test]
async fn a_split_goes_on_beside_the_folding_and_another_cut_replaces_it() {
    let rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 0, 100).await;
    let decoded_log = rig.decoded_log().await;
    let mut fold = ViewFold::new(Arc::clone(rig.view("total")), 0, Purpose::Realtime, None);
    fold.apply(target(0), LOG);
    for _ in 0..60 {
        fold_one(&mut fold, &decoded_log).await;
    }
    fold.apply(target(33), LOG);
    assert_eq!((fold.next_again(), fold.again_end()), (Some(0), Some(60)));
    assert!(fold.read(33).is_err() && fold.read(0).is_ok());
    for _ in 0..3 {
        let decoded = decoded_log.read(0, fold.next_again().unwrap()).await.unwrap();
        fold.fold_again(&decoded).await;
        fold_one(&mut fold, &decoded_log).await;
        fold.seal();
    }
    fold.apply(target(45), LOG);
    assert_eq!((fold.next_again(), fold.again_end()), (Some(0), Some(60)));
    while let Some(next) = fold.next_again() {
        fold.fold_again(&decoded_log.read(0, next).await.unwrap()).await;
    }
    let (slices, head) = fold.read(45).unwrap();
    assert_eq!((slices[0].range, head), (OffsetRange::new(45, 60), 63));
    assert!(fold.read(0).is_err(), "what lies below retired");
}
