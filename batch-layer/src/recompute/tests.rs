use std::collections::BTreeMap;
use std::sync::Arc;

use dovetail_core::catalog::{CatalogError, Gap, ObjectState, Partition, RunKind, RunState, Segment, Trigger};
use dovetail_core::manifest::{LeftOut, Manifest, StateFile, ViewStates};
use dovetail_core::name::Generation;
use dovetail_core::offsets::{Cut, OffsetRange};
use dovetail_core::record::Records;
use dovetail_core::view::View;
use dovetail_testkit::fixtures::name;
use dovetail_testkit::store::{StoreFault, puts};
use tokio_util::sync::CancellationToken;

use super::{Phase, RunError, RunOutcome, RunRequest};
use crate::recompute::choose_cut::{Choice, MAX_DELTAS, Situation, StreamLanding, choose};
use crate::tests::{CLICKS, Rig};

fn segment(partition: i32, start: i64, end: i64) -> Segment {
    Segment {
        topic: "Clicks".to_owned(),
        partition,
        range: OffsetRange::new(start, end),
        path: format!("{partition}/{start}"),
        rows: end.abs_diff(start),
        dead: 0,
        dead_path: None,
        bytes: 1000,
        schema: "s".to_owned(),
        first_timestamp_ms: None,
        last_timestamp_ms: None,
        created_ms: 0,
    }
}

fn landed(segments: Vec<Segment>) -> StreamLanding {
    let partition = |partition| Partition { topic: "Clicks".to_owned(), partition, first_offset: 5, next_offset: 99 };
    StreamLanding { topic: "Clicks".to_owned(), segments, gaps: vec![], partitions: vec![partition(0), partition(1)] }
}

fn manifest(views: &[Arc<View>], cut: &[(i32, i64)]) -> Manifest {
    let file = StateFile { path: "f".to_owned(), bytes: 1, rows: 1 };
    let states = |view: &View| ViewStates {
        fingerprint: view.fingerprint.clone(),
        stream: view.stream.clone(),
        topic: "Clicks".to_owned(),
        cut: Cut(cut.iter().copied().collect()),
        rows: 10,
        groups: 1,
        files: vec![file.clone()],
        deltas: vec![],
        errors: LeftOut::default(),
    };
    let views = views.iter().map(|view| (view.name.clone(), states(view))).collect();
    Manifest { generation: Generation(1), run_id: 1, created_ms: 0, engine: "0".to_owned(), views }
}

fn starts(choice: &Choice, fold: usize) -> Vec<(i32, i64)> {
    choice.folds[fold].segments.iter().map(|segment| (segment.partition, segment.range.start)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions() {
    let rig = Rig::new(CLICKS).await;
    let views = &rig.views;
    let segments = vec![segment(0, 5, 10), segment(0, 10, 20), segment(1, 5, 7)];
    let all = BTreeMap::from([(rig.streams[0].name.clone(), landed(segments))]);
    let nothing = BTreeMap::from([(rig.streams[0].name.clone(), landed(vec![]))]);
    let decide =
        |kind, landed, current: Option<&Manifest>| choose(&Situation { kind, wanted: None, views, landed, current });
    use RunKind::{Full, Incremental};

    assert!(decide(Full, &nothing, None).folds.is_empty(), "nothing landed, nothing to publish");
    let first = decide(Incremental, &all, None);
    assert_eq!((first.folds.len(), starts(&first, 0)), (3, vec![(0, 5), (0, 10), (1, 5)]));
    assert_eq!(first.cuts[&rig.streams[0].name].to_string(), "{0: 20, 1: 7}");

    let before = manifest(views, &[(0, 10), (1, 7)]);
    let next = decide(Incremental, &all, Some(&before));
    assert_eq!((starts(&next, 2), next.folds[2].base.is_some()), (vec![(0, 10)], true));
    let full = decide(Full, &all, Some(&before));
    assert_eq!((starts(&full, 2).len(), full.folds[2].base.is_some()), (3, false));

    let up_to_date = decide(Incremental, &all, Some(&manifest(views, &[(0, 20), (1, 7)])));
    assert_eq!((up_to_date.folds.len(), up_to_date.kept.len()), (0, 3));
    let inside = decide(Incremental, &all, Some(&manifest(views, &[(0, 12), (1, 7)])));
    assert_eq!((starts(&inside, 0).len(), inside.folds[0].base.is_some()), (3, false), "the cut is no boundary");
    let beyond = decide(Incremental, &all, Some(&manifest(views, &[(0, 21), (1, 7)])));
    assert!(beyond.folds[0].base.is_none(), "the cut is of another landing");

    let lost = |start, end| Gap {
        topic: "Clicks".to_owned(),
        partition: 0,
        range: OffsetRange::new(start, end),
        why: String::new(),
        noted_ms: 0,
    };
    let with_gaps =
        |segments, gaps| BTreeMap::from([(rig.streams[0].name.clone(), StreamLanding { gaps, ..landed(segments) })]);
    let alone = with_gaps(vec![segment(0, 5, 10), segment(1, 5, 7)], vec![lost(10, 20)]);
    let gap = decide(Incremental, &alone, Some(&before));
    assert_eq!((starts(&gap, 0).len(), gap.folds[0].base.is_some()), (0, true), "nothing to fold");
    assert_eq!(gap.cuts[&rig.streams[0].name].get(0), 20, "and yet the cut moves");
    let followed = with_gaps(vec![segment(0, 5, 10), segment(0, 20, 30), segment(1, 5, 7)], vec![lost(10, 20)]);
    let behind = decide(Incremental, &followed, Some(&before));
    assert_eq!((starts(&behind, 0), behind.folds[0].base.is_some()), (vec![(0, 20)], true));
    let first = with_gaps(vec![], vec![lost(5, 20)]);
    assert_eq!(decide(Incremental, &first, None).folds.len(), 3);

    let mut other = before.clone();
    other.views.get_mut(&name("total")).unwrap().fingerprint = "another".to_owned();
    other.views.insert(name("dropped"), before.views[&name("total")].clone());
    let wanted = [name("per_page")];
    let situation = Situation { kind: Full, wanted: Some(&wanted), views, landed: &all, current: Some(&other) };
    let some = choose(&situation);
    assert_eq!(some.folds.iter().map(|fold| fold.view.name.clone()).collect::<Vec<_>>(), wanted);
    assert_eq!(some.kept.keys().cloned().collect::<Vec<_>>(), [name("slow")], "states of other views drop out");
    assert_eq!(some.kept[&name("slow")].cut.to_string(), "{0: 10, 1: 7}", "with the cut they had");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_incremental_and_one_shot_answers_are_the_same() {
    let rig = Rig::new(CLICKS).await;
    for from in [0, 150, 160, 400] {
        rig.append_clicks(from, 150).await;
        rig.land().await;
        let done = rig.run(RunKind::Incremental).await.unwrap();
        assert!(matches!(&done, RunOutcome::Published(run) if run.state == RunState::Published), "{done:?}");
        rig.check_answers().await;
    }
    assert_eq!(rig.run(RunKind::Incremental).await.unwrap(), RunOutcome::NothingNew);
    let incremental: Vec<_> = answers(&rig).await;
    assert!(matches!(rig.run(RunKind::Full).await.unwrap(), RunOutcome::Published(_)));
    assert_eq!(answers(&rig).await, incremental);
    let (_, manifest) = rig.recompute().current().await.unwrap();
    let manifest = manifest.unwrap();
    let rows = rig.catalog.landed_totals(rig.topic()).await.unwrap().rows;
    assert!(manifest.views.values().all(|states| states.rows == rows), "{manifest:?}");
    assert_eq!(manifest.views[&name("per_page")].groups, 11);
    assert!(manifest.views.values().all(|states| states.deltas.is_empty()), "a full run merges all");
}

#[tokio::test(flavor = "multi_thread")]
async fn incremental_runs_add_beside_the_states_until_they_merge() {
    let rig = Rig::new(CLICKS).await;
    let mut deltas = vec![];
    for run in 0..MAX_DELTAS + 3 {
        rig.append_clicks(run * 40, 40).await;
        rig.land().await;
        rig.run(RunKind::Incremental).await.unwrap();
        rig.check_answers().await;
        let (_, manifest) = rig.recompute().current().await.unwrap();
        let manifest = manifest.unwrap();
        deltas.push(manifest.views[&name("per_page")].deltas.len());
        assert!(manifest.views[&name("slow")].deltas.is_empty(), "rows have nothing to merge");
    }
    let expected: Vec<usize> = (0..=MAX_DELTAS).chain([0, 1]).collect();
    assert_eq!(deltas, expected);
}

async fn answers(rig: &Rig) -> Vec<Vec<String>> {
    let mut answers = vec![];
    for view in &rig.views {
        answers.push(rig.batch_answer(view.name.as_str()).await);
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_ends_with_everything_read() {
    let rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 300).await;
    rig.land().await;
    let recompute = rig.recompute();
    let request = RunRequest { kind: RunKind::Full, views: None, trigger: Trigger::Demand };
    recompute.run(&request, None, &CancellationToken::new()).await.unwrap();
    let progress = recompute.reporter.now();
    assert_eq!((progress.phase, progress.views_done, progress.views), (Phase::Ended, 3, 3));
    assert_eq!((progress.rows_done, progress.rows_total), (3 * 588, 3 * 588));
    assert_eq!(progress.segments_done, progress.segments);
    let run = rig.catalog.run(progress.run_id).await.unwrap();
    assert_eq!((run.rows, run.segments), (progress.rows_done, progress.segments as u64));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_log_has_nothing_to_publish() {
    let rig = Rig::new(CLICKS).await;
    assert_eq!(rig.run(RunKind::Full).await.unwrap(), RunOutcome::NothingNew);
    assert!(rig.catalog.runs(1).await.unwrap().is_empty());
}

/// Starts a run that hangs where it writes below `prefix`; then `meanwhile`, then the store goes on.
async fn interrupted(
    rig: &Rig,
    prefix: &'static str,
    meanwhile: impl AsyncFnOnce(&CancellationToken),
) -> Result<RunOutcome, RunError> {
    rig.fake.faults.set(StoreFault::HoldsBefore, puts(prefix));
    let cancel = CancellationToken::new();
    let request = RunRequest { kind: RunKind::Full, views: None, trigger: Trigger::Demand };
    let recompute = rig.recompute();
    let (done, ()) = tokio::join!(recompute.run(&request, None, &cancel), async {
        rig.fake.faults.until_met().await;
        meanwhile(&cancel).await;
        rig.fake.faults.heal();
    });
    done
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_leaves_what_is_published() {
    let rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 100).await;
    rig.land().await;
    rig.run(RunKind::Full).await.unwrap();
    let before = rig.catalog.current().await.unwrap();
    let done = interrupted(&rig, "generations/", async |cancel| cancel.cancel()).await;
    assert!(matches!(done, Err(RunError::Cancelled { .. })), "{done:?}");
    assert_eq!(rig.catalog.current().await.unwrap(), before);
    let run = rig.catalog.runs(1).await.unwrap().remove(0);
    assert_eq!(run.state, RunState::Cancelled);
    let garbage = rig.objects(ObjectState::Garbage).await;
    assert!(garbage.iter().all(|path| path.starts_with("generations/00000000000000000002/")), "{garbage:?}");
    assert!(!garbage.is_empty());
    rig.check_answers().await;
    assert!(matches!(rig.run(RunKind::Full).await.unwrap(), RunOutcome::Published(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_base_is_no_longer_current_does_not_publish() {
    let rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 100).await;
    rig.land().await;
    rig.run(RunKind::Full).await.unwrap();
    rig.run(RunKind::Full).await.unwrap();
    let to_first = async |_: &CancellationToken| rig.catalog.rollback(Generation(1), Generation(2)).await.unwrap();
    let done = interrupted(&rig, "generations/00000000000000000003/manifest", to_first).await;
    let conflict = |error: &CatalogError| matches!(error, CatalogError::PublishConflict { found: Generation(1), .. });
    assert!(matches!(&done, Err(RunError::Catalog(error)) if conflict(error)), "{done:?}");
    assert_eq!(rig.catalog.current().await.unwrap().unwrap().generation, Generation(1));
    let garbage = rig.objects(ObjectState::Garbage).await;
    assert!(garbage.contains(&"generations/00000000000000000003/manifest.json".to_owned()), "{garbage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_at_a_time_and_dead_ones_are_given_up() {
    let rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 100).await;
    rig.land().await;
    let second = async |_: &CancellationToken| {
        let second = rig.run(RunKind::Full).await;
        assert!(matches!(second, Err(RunError::Catalog(CatalogError::RunInProgress { .. }))), "{second:?}");
        // Its lease has passed: the first is given up for dead and must not publish any more.
        rig.clock.advance_ms(61_000);
        rig.catalog.expire_runs().await.unwrap();
    };
    let first = Box::pin(interrupted(&rig, "generations/00000000000000000001/", second)).await;
    let ended = |error: &CatalogError| matches!(error, CatalogError::RunEnded { state: RunState::Failed, .. });
    assert!(matches!(&first, Err(RunError::Catalog(error)) if ended(error)), "{first:?}");
    assert!(rig.catalog.current().await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_that_is_not_whole_is_named() {
    let rig = Rig::new(CLICKS).await;
    rig.append_clicks(0, 300).await;
    rig.land().await;
    rig.run(RunKind::Full).await.unwrap();
    let before = rig.catalog.current().await.unwrap();
    let victims = rig.catalog.segments(rig.topic()).await.unwrap();
    let paths: Vec<&str> = victims.iter().map(|segment| segment.path.as_str()).take(3).collect();
    rig.fake.damage(paths[2]).await;
    check_names(&rig, paths[2], "is damaged").await;
    rig.fake.truncate(paths[1], 100).await;
    check_names(&rig, paths[1], "has 100 bytes instead of").await;
    rig.fake.remove(paths[0]).await;
    check_names(&rig, paths[0], "is missing").await;
    assert_eq!(rig.catalog.current().await.unwrap(), before);
    rig.check_answers().await;
}

async fn check_names(rig: &Rig, path: &str, why: &str) {
    let error = rig.run(RunKind::Full).await.unwrap_err().to_string();
    assert!(error.contains(path) && error.contains(why), "{error}");
    let run = rig.catalog.runs(1).await.unwrap().remove(0);
    assert_eq!(run.state, RunState::Failed);
    assert!(run.error.unwrap().contains(path));
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_of_an_older_schema_are_decoded_again() {
    let rig = Rig::new(CLICKS).await;
    let both = |bad: &str| {
        (0..40).map(|i| format!(r#"{{"user_id": {i}, "city": "c{}", "ms": {bad}}}"#, i % 3)).collect::<Vec<_>>()
    };
    rig.append(0, &both("60")).await;
    // These do not decode: `ms` is a number. Later it is declared as text.
    rig.append(1, &both("\"slow\"")).await;
    rig.land().await;
    rig.run(RunKind::Full).await.unwrap();
    let sql = "
        CREATE EXTERNAL TABLE clicks (user_id BIGINT, city VARCHAR, ms VARCHAR)
        STORED AS JSON LOCATION 'kafka://Clicks' OPTIONS ('partitions' '2');
        CREATE VIEW per_city AS SELECT city, ms, count(*) AS n FROM clicks GROUP BY city, ms;
        CREATE VIEW total AS SELECT count(*) AS n, count(DISTINCT user_id) AS users FROM clicks;
    ";
    let rig = rig.with_pipeline(sql).await;
    rig.append(0, &both("1")).await;
    rig.land().await;
    rig.run(RunKind::Incremental).await.unwrap();
    rig.check_answers().await;
    let total = rig.batch_answer("total").await;
    assert_eq!(total, ["120 | 40"], "dead letters decode now");
    let (_, manifest) = rig.recompute().current().await.unwrap();
    assert_eq!(manifest.unwrap().views.len(), 2, "views that are gone drop out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_decoded_again_with_its_headers() {
    let stream = |columns: &str| {
        format!(
            "CREATE EXTERNAL TABLE clicks ({columns}) STORED AS JSON LOCATION 'kafka://Clicks'
             OPTIONS ('partitions' '1');
             CREATE VIEW senders AS SELECT _headers AS sender, count(*) AS n, max(_timestamp) AS last FROM clicks
             GROUP BY _headers;"
        )
    };
    let rig = Rig::new(&stream("ms DOUBLE")).await;
    let values = ["{\"ms\": 1}", "{\"ms\": \"slow\"}", "{", "{\"ms\": \"slower\"}"];
    let mut records = Records::from_values(1_000, values.map(str::as_bytes));
    let senders = [Some("ann"), Some("bob"), Some("bob"), None];
    records.headers =
        senders.map(|sender| sender.map(|sender| format!("{{\"sender\": \"{sender}\"}}"))).into_iter().collect();
    rig.log.append(rig.topic(), 0, records, None).await.unwrap();
    rig.land().await;
    rig.run(RunKind::Full).await.unwrap();
    assert_eq!(rig.batch_answer("senders").await, rig.one_shot_answer("senders").await);
    let rig = rig.with_pipeline(&stream("ms VARCHAR")).await;
    rig.run(RunKind::Full).await.unwrap();
    assert_eq!(rig.batch_answer("senders").await.len(), 3);
    assert_eq!(rig.batch_answer("senders").await, rig.one_shot_answer("senders").await);
}
