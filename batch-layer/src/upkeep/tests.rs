use dovetail_core::catalog::{GenerationRow, ObjectState, RunKind, Segment};
use dovetail_core::manifest::{LeftOut, Manifest, ViewStates};
use dovetail_core::name::{Generation, StreamName};
use dovetail_core::offsets::{Cut, OffsetRange};
use dovetail_testkit::fixtures::name;

use super::compact::choose;
use super::retire::to_retire;
use super::rollback::rollback;
use super::trim::needed_from;
use super::{RollbackError, Upkeep};
use crate::tests::{CLICKS, Rig};

fn row(generation: u64, retired: bool) -> GenerationRow {
    GenerationRow {
        generation: Generation(generation),
        run_id: 1,
        manifest_path: String::new(),
        manifest: String::new(),
        published_ms: 0,
        retired_ms: retired.then_some(1),
    }
}

#[test]
fn the_newest_generations_and_the_current_one_are_kept() {
    let rows = [row(9, false), row(7, false), row(5, false), row(4, false), row(2, true)];
    assert_eq!(to_retire(&rows, Generation(9), 2), [Generation(4), Generation(5)]);
    assert_eq!(to_retire(&rows, Generation(4), 2), [Generation(5)]);
    assert_eq!(to_retire(&rows, Generation(9), 0), [Generation(4), Generation(5), Generation(7)]);
    assert!(to_retire(&rows, Generation(9), 4).is_empty());
}

fn segments(partition: i32, sizes: &[u64]) -> Vec<Segment> {
    let segment = |(i, &bytes): (usize, &u64)| Segment {
        topic: "t".to_owned(),
        partition,
        range: OffsetRange::new(i as i64 * 10, i as i64 * 10 + 10),
        path: format!("{partition}/{i}"),
        rows: 10,
        dead: 0,
        dead_path: None,
        bytes,
        schema: "s".to_owned(),
        first_timestamp_ms: None,
        last_timestamp_ms: None,
        created_ms: 0,
    };
    sizes.iter().enumerate().map(segment).collect()
}

fn chosen(segments: &[Segment], boundaries: &[(i32, i64)]) -> Vec<(i64, i64)> {
    let chosen = choose(segments, &boundaries.iter().copied().collect(), 100);
    chosen.iter().map(|run| (run[0].range.start, run[run.len() - 1].range.end)).collect()
}

#[test]
fn runs_of_small_segments_are_chosen() {
    let small = segments(0, &[10, 10, 10, 10, 10, 10, 10, 10]);
    assert_eq!(chosen(&small, &[]), [(0, 80)]);
    assert_eq!(chosen(&small, &[(0, 40), (1, 20)]), [(0, 40), (40, 80)], "a cut stays a boundary");
    assert_eq!(chosen(&small, &[(0, 20), (0, 50)]), [], "too few on either side");
    assert_eq!(chosen(&segments(0, &[90, 10, 10, 10, 10]), &[]), [(10, 50)], "the large one is not written again");
    assert_eq!(chosen(&segments(0, &[30, 30, 30, 10, 30, 30, 30, 10]), &[]), [(0, 40), (40, 80)]);
    let mut two = segments(0, &[10, 10]);
    two.extend(segments(1, &[10, 10]));
    assert_eq!(chosen(&two, &[]), [], "partitions are apart");
    let mut schemas = segments(0, &[10, 10, 10, 10]);
    schemas[2].schema = "other".to_owned();
    assert_eq!(chosen(&schemas, &[]), []);
}

fn manifest(cuts: &[&[(i32, i64)]]) -> Manifest {
    let states = |cut: &&[(i32, i64)]| ViewStates {
        fingerprint: "f".to_owned(),
        stream: StreamName::parse("clicks").unwrap(),
        topic: "Clicks".to_owned(),
        cut: Cut(cut.iter().copied().collect()),
        rows: 0,
        groups: 0,
        files: vec![],
        deltas: vec![],
        errors: LeftOut::default(),
    };
    let views = cuts.iter().enumerate().map(|(i, cut)| (name(&format!("v{i}")), states(cut))).collect();
    Manifest { generation: Generation(1), run_id: 1, created_ms: 0, engine: String::new(), views }
}

#[test]
fn the_log_is_needed_from_the_lowest_cut_that_is_kept() {
    let kept = [manifest(&[&[(0, 50), (1, 20)], &[(0, 40), (1, 30)]]), manifest(&[&[(0, 60), (1, 60)]])];
    let landed = [(0, 100), (1, 90)];
    let needed = |kept: &[Manifest], topic, folded| needed_from(kept, topic, folded, landed.into_iter());
    assert_eq!(needed(&kept, "Clicks", true), [(0, 40), (1, 20)].into());
    assert_eq!(needed(&kept[1..], "Clicks", true), [(0, 60), (1, 60)].into());
    assert_eq!(needed(&[], "Clicks", true), [].into(), "folded, never published");
    assert_eq!(needed(&kept, "Raw", false), [(0, 100), (1, 90)].into(), "no view folds it: what is landed is enough");
    assert_eq!(needed(&[manifest(&[&[(0, 50)]])], "Clicks", true)[&1], 0, "a partition that came later");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_trimmed_once_every_kept_generation_covers_it() {
    let rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 300).await;
    rig.land().await;
    let upkeep = || Upkeep { log: Some(std::sync::Arc::clone(&rig.log)), ..rig.upkeep() };
    let start = async || rig.log.bounds(rig.topic(), 0).await.unwrap().start;
    upkeep().run().await;
    assert_eq!(start().await, 0, "nothing is published");
    rig.run(RunKind::Incremental).await.unwrap();
    rig.append_clicks(300, 100).await;
    rig.land().await;
    rig.run(RunKind::Incremental).await.unwrap();
    let before = rig.one_shot_answer("per_page").await;
    upkeep().run().await;
    let trimmed = start().await;
    assert!(trimmed > 0 && trimmed <= 300, "up to the first generation's cut, by whole batches: {trimmed}");
    rig.run(RunKind::Full).await.unwrap();
    assert_eq!(rig.batch_answer("per_page").await, before, "the landing does not need the log");
    let landed = rig.landed_records(0).await;
    assert_eq!(landed, (0..400).collect::<Vec<i64>>(), "the landing holds every record, dead letters too");
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_changes_no_answer_and_no_boundary() {
    let rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 1500).await;
    rig.land().await;
    rig.run(RunKind::Full).await.unwrap();
    let (_, manifest) = rig.recompute().current().await.unwrap();
    let cut = manifest.unwrap().views.values().next().unwrap().cut.clone();
    rig.append_clicks(1500, 1500).await;
    rig.land().await;
    let before = rig.catalog.segments(rig.topic()).await.unwrap();
    let totals = rig.catalog.landed_totals(rig.topic()).await.unwrap();
    let upkeep = rig.upkeep();
    upkeep.compact().await.unwrap();
    let after = rig.catalog.segments(rig.topic()).await.unwrap();
    assert!(after.len() < before.len() && after.len() >= 4, "{} -> {}", before.len(), after.len());
    for partition in 0..2 {
        assert!(after.iter().all(|s| s.partition != partition || !s.range.is_cut_by(cut.get(partition))));
    }
    let compacted = rig.catalog.landed_totals(rig.topic()).await.unwrap();
    assert_eq!((compacted.rows, compacted.dead), (totals.rows, totals.dead));
    assert!(compacted.dead > 0);
    rig.run(RunKind::Incremental).await.unwrap();
    rig.check_answers().await;
    rig.run(RunKind::Full).await.unwrap();
    rig.check_answers().await;
    upkeep.compact().await.unwrap();
    assert_eq!(rig.catalog.segments(rig.topic()).await.unwrap(), after, "once is enough");

    rig.clock.advance_ms(300_001);
    upkeep.collect().await.unwrap();
    rig.check_ledger().await;
    for segment in before.iter().filter(|segment| !after.contains(segment)) {
        assert!(!rig.store.exists(&segment.path.as_str().into()).await.unwrap());
    }
    rig.run(RunKind::Full).await.unwrap();
    rig.check_answers().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retired_generations_lose_their_objects_after_the_grace() {
    let rig = Rig::new(CLICKS).await;
    for from in [0, 100, 200, 300] {
        rig.append_clicks(from, 100).await;
        rig.land().await;
        rig.run(RunKind::Incremental).await.unwrap();
    }
    let upkeep = rig.upkeep();
    upkeep.run().await;
    let first = rig.catalog.generation(Generation(1)).await.unwrap();
    assert!(first.retired_ms.is_some());
    assert!(rig.store.exists(&first.manifest_path.as_str().into()).await.unwrap(), "readers have time");
    rig.clock.advance_ms(300_001);
    upkeep.run().await;
    assert!(!rig.store.exists(&first.manifest_path.as_str().into()).await.unwrap());
    assert!(rig.objects(ObjectState::Garbage).await.is_empty());
    rig.check_ledger().await;
    // A view of rows keeps the files of retired generations: they are still part of its states.
    rig.check_answers().await;

    let refused = rollback(&rig.catalog, &rig.store, Generation(1)).await;
    assert!(refused.unwrap_err().to_string().contains("is retired"));
    rollback(&rig.catalog, &rig.store, Generation(3)).await.unwrap();
    rig.run(RunKind::Incremental).await.unwrap();
    rig.check_answers().await;
    let states = rig.catalog.generation(Generation(4)).await.unwrap();
    let manifest = crate::recompute::manifest_of(&states).unwrap();
    let lost = &manifest.views.values().next().unwrap().files[0].path;
    rig.fake.remove(lost).await;
    let refused = rollback(&rig.catalog, &rig.store, Generation(4)).await;
    assert!(matches!(refused, Err(RollbackError::ObjectMissing { path, .. }) if path == *lost));
}
