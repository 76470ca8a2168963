//! Reads while members come, go, and are slow: by hand, without a connection. With connections, see the system tests.

#![expect(clippy::disallowed_methods, reason = "tests wait in real time")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dovetail_core::name::ViewName;
use dovetail_core::offsets::{Cut, OffsetRange, Offsets};
use dovetail_core::pipeline::Pipeline;
use dovetail_core::realtime::{RealtimeError, RealtimeView, Slice};
use dovetail_core::realtime_wire::{Status, ViewPartitionStatus};
use dovetail_core::view::{Planned, Planner, View};
use tokio::time::Instant;

use super::RemoteConfig;
use super::bytes::Total;
use super::view::{RemotePartition, RemoteView};

const STALE: Duration = Duration::from_secs(2);

const PIPELINE: &str = "
CREATE EXTERNAL TABLE clicks (user_id VARCHAR) STORED AS JSON LOCATION 'kafka://Clicks' OPTIONS ('partitions' '2');
CREATE VIEW total AS SELECT count(*) AS clicks FROM clicks;
";

pub(super) async fn view() -> Arc<View> {
    let pipeline = Pipeline::parse(PIPELINE, Path::new("pipeline.sql")).unwrap();
    match Planner::new(&pipeline).await.unwrap().plan(&pipeline.views[0]).await.unwrap() {
        Planned::Folded(view) => view,
        Planned::Derived(_) => panic!("it is folded"),
    }
}

/// A view, its members, and a clock that is moved by hand.
struct Rig {
    remote: RemoteView,
    total: Arc<Total>,
    now: Instant,
    /// From where members can be read, if they say so.
    start: Option<i64>,
}

impl Rig {
    async fn new(members: &[&str]) -> Self {
        let idle = Duration::from_secs(30);
        let config = RemoteConfig { stale_after: STALE, idle, starts: 3, memory_limit: 1 << 20 };
        let remote = RemoteView::new(view().await, &config);
        members.iter().for_each(|member| remote.joined(member, "somewhere", true));
        Self { remote, total: Arc::new(Total::new(1 << 20)), now: Instant::now(), start: None }
    }

    /// The member sends what it has: partitions, and the ends of their slices.
    fn sends(&self, member: &str, partitions: &[(i32, &[i64])]) {
        let starts = self.remote.starts().borrow().clone();
        self.remote.opened(member, &starts);
        for (partition, ends) in partitions {
            self.remote.hold(member, *partition, self.held(*partition, ends));
        }
        self.says(member, &partitions.iter().map(|(partition, _)| *partition).collect::<Vec<_>>());
    }

    fn held(&self, partition: i32, ends: &[i64]) -> RemotePartition {
        let slices = ends.windows(2).map(|ends| Slice::empty(partition, OffsetRange::new(ends[0], ends[1])));
        let (start, head) = (ends[0], ends[ends.len() - 1]);
        RemotePartition { start, head, slices: slices.collect(), bytes: self.total.count(100), lost: None }
    }

    fn says(&self, member: &str, partitions: &[i32]) {
        self.tells(member, partitions, &[]);
    }

    fn tells(&self, member: &str, partitions: &[i32], backlog: &[(i64, RealtimeError)]) {
        let partitions = partitions.iter().map(|&partition| ViewPartitionStatus {
            partition,
            head: Some(0),
            start: self.start,
            backlog: backlog.to_vec(),
            stalled: None,
        });
        self.remote.status(member, Status { partitions: partitions.collect() }, self.now);
        self.remote.heard(member, self.now);
    }

    fn read(&self, start: i64) -> Result<RealtimeView, RealtimeError> {
        self.remote.read(&cut(start), self.now)
    }

    fn heads(&self, start: i64) -> Vec<(i32, i64)> {
        self.read(start).unwrap().whole().unwrap().head.iter().collect()
    }

    fn missing(&self, start: i64) -> (Vec<i32>, String) {
        match self.read(start).unwrap().whole().unwrap_err() {
            RealtimeError::Missing { partitions, why, .. } => (partitions, why),
            other => panic!("{other}"),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}

fn cut(offset: i64) -> Cut {
    Cut([(0, offset), (1, offset)].into_iter().collect())
}

fn catching_up() -> RealtimeError {
    RealtimeError::CatchingUp { view: ViewName::parse("total").unwrap(), partition: 0, head: 3, behind: 2 }
}

#[tokio::test]
async fn who_was_there_first_is_waited_for() {
    let rig = Rig::new(&["a", "b"]).await;
    assert!(matches!(rig.read(0), Err(RealtimeError::Asking { .. })));
    rig.sends("a", &[(0, &[0, 5, 7])]);
    assert!(matches!(rig.read(0), Err(RealtimeError::Asking { member, .. }) if member == "b"));
    rig.sends("b", &[(1, &[0, 4])]);
    assert_eq!(rig.heads(0), [(0, 7), (1, 4)]);
    // A member that joins later is not waited for.
    rig.remote.joined("c", "elsewhere", false);
    assert_eq!(rig.heads(0), [(0, 7), (1, 4)]);
}

#[tokio::test]
async fn who_does_not_answer_is_not_waited_for() {
    let rig = Rig::new(&["a", "b"]).await;
    assert!(rig.read(0).is_err());
    rig.sends("a", &[(0, &[0, 5])]);
    rig.remote.down("b", "connection refused");
    // No member has reported a partition 1: `meet` has to find that out.
    assert_eq!(rig.heads(0), [(0, 5)]);
}

#[tokio::test]
async fn a_member_that_is_not_heard_is_missing_and_says_since_when() {
    let mut rig = Rig::new(&["a", "b"]).await;
    assert!(rig.read(0).is_err());
    rig.sends("a", &[(0, &[0, 5])]);
    rig.sends("b", &[(1, &[0, 4])]);
    rig.remote.down("b", "connection reset");
    assert_eq!(rig.heads(0), [(0, 5), (1, 4)], "what it sent is still right");
    rig.pass(STALE + Duration::from_millis(500));
    rig.says("a", &[0]);
    let (partitions, why) = rig.missing(0);
    assert_eq!(
        (partitions, why.as_str()),
        (vec![1], "speed layer `b` at somewhere was last heard 2.5 s ago (connection reset)")
    );
    assert_eq!(rig.remote.stalled(rig.now).len(), 1);
    assert_eq!(rig.remote.head(rig.now), [(0, 5)].into_iter().collect::<Offsets>());
}

#[tokio::test]
async fn a_partition_that_moves_is_missing_until_it_is_as_far_as_it_was_read() {
    let mut rig = Rig::new(&["a", "b"]).await;
    assert!(rig.read(0).is_err());
    rig.sends("a", &[(0, &[0, 5]), (1, &[0, 8])]);
    rig.sends("b", &[]);
    assert_eq!(rig.heads(0), [(0, 5), (1, 8)]);
    // It changes hands: for a moment, what the one before sent is read.
    rig.says("a", &[0]);
    rig.sends("b", &[(1, &[0, 3])]);
    assert_eq!(rig.heads(0), [(0, 5), (1, 8)]);
    rig.pass(STALE + Duration::from_millis(1));
    rig.says("a", &[0]);
    rig.says("b", &[1]);
    let (partitions, why) = rig.missing(0);
    assert_eq!((partitions, why.as_str()), (vec![1], "speed layer `b` folds it again: it is at 3, 5 records to go"));
    rig.sends("b", &[(1, &[0, 3, 9])]);
    assert_eq!(rig.heads(0), [(0, 5), (1, 9)]);
}

#[tokio::test]
async fn the_member_that_is_further_is_read_for_all_of_a_partition() {
    let rig = Rig::new(&["a", "b"]).await;
    assert!(rig.read(0).is_err());
    rig.sends("a", &[(0, &[0, 5, 8])]);
    rig.sends("b", &[(0, &[0, 2, 4, 9])]);
    let realtime = rig.read(0).unwrap();
    let ranges: Vec<_> = realtime.slices.iter().map(|slice| (slice.range.start, slice.range.end)).collect();
    assert_eq!(ranges, [(0, 2), (2, 4), (4, 9)]);
}

#[tokio::test]
async fn a_later_start_is_read_from_what_there_is_if_it_is_a_boundary() {
    let rig = Rig::new(&["a"]).await;
    assert!(rig.read(0).is_err());
    rig.sends("a", &[(0, &[0, 5, 8]), (1, &[0, 5, 6])]);
    assert_eq!(rig.heads(5), [(0, 8), (1, 6)]);
    assert!(!rig.remote.has_to_ask("a"));
    // This one is not: it has to be asked for.
    assert!(matches!(rig.read(6).unwrap().whole(), Err(RealtimeError::Asking { .. })));
    assert!(rig.remote.has_to_ask("a"));
    rig.remote.opened("a", &[cut(0), cut(5), cut(6)]);
    assert!(!rig.remote.has_to_ask("a"));
    rig.tells("a", &[0, 1], &[(6, catching_up())]);
    assert_eq!(rig.read(6).unwrap().whole().unwrap_err(), catching_up());
    assert_eq!(rig.heads(0), [(0, 8), (1, 6)], "the others are read in the meantime");
}

#[tokio::test]
async fn a_start_is_requested_when_one_partition_lacks_it() {
    let rig = Rig::new(&["a"]).await;
    assert!(rig.read(5).is_err());
    rig.sends("a", &[(0, &[0, 5, 8])]);
    // Partition 1 could not be read from there; partition 0 can be read from anywhere.
    rig.tells("a", &[0, 1], &[(5, catching_up())]);
    assert!(rig.read(0).is_ok());
    assert!(rig.remote.has_to_ask("a"));
    // A partition that it is given later lacks the starts that were not requested, too.
    rig.remote.opened("a", &[cut(5), cut(0)]);
    rig.says("a", &[0]);
    assert_eq!(rig.heads(8), [(0, 8)]);
    assert!(!rig.remote.has_to_ask("a"));
    rig.says("a", &[0, 1]);
    assert!(rig.remote.has_to_ask("a"));
}

#[tokio::test]
async fn starts_that_nobody_reads_are_dropped_and_requested_again() {
    let mut rig = Rig::new(&["a"]).await;
    assert!(rig.read(0).is_err());
    rig.sends("a", &[(0, &[0, 5])]);
    assert_eq!(rig.heads(0), [(0, 5)]);
    assert_eq!(rig.total.bytes(), 100);
    rig.pass(Duration::from_secs(40));
    rig.says("a", &[0]);
    assert_eq!(rig.remote.sweep(rig.now, Duration::from_secs(30)).starts, 0);
    assert_eq!(rig.total.bytes(), 0);
    assert!(rig.remote.has_to_ask("a"), "for no slices");
    rig.sends("a", &[]);
    rig.says("a", &[0]);
    assert!(matches!(rig.read(0).unwrap().whole(), Err(RealtimeError::Asking { .. })));
    assert!(rig.remote.has_to_ask("a"));
}

#[tokio::test]
async fn the_oldest_of_many_starts_goes() {
    let mut rig = Rig::new(&["a"]).await;
    assert!(rig.read(0).is_err());
    rig.sends("a", &[(0, &[0, 1, 2, 3, 4])]);
    for start in 0..4 {
        rig.pass(Duration::from_millis(1));
        assert_eq!(rig.heads(start), [(0, 4)]);
    }
    let starts = rig.remote.starts().borrow().clone();
    assert_eq!(starts, [cut(1), cut(2), cut(3)]);
    assert_eq!(rig.remote.boundaries(0).1, Some(1));
}

#[tokio::test]
async fn a_start_that_was_dropped_is_reported_and_not_requested() {
    let mut rig = Rig::new(&["a"]).await;
    rig.start = Some(5);
    assert!(rig.read(7).is_err());
    rig.sends("a", &[(0, &[7, 8]), (1, &[7, 9])]);
    let dropped = rig.read(2).unwrap().whole().unwrap_err();
    let view = ViewName::parse("total").unwrap();
    assert_eq!(dropped, RealtimeError::Dropped { view, partition: 0, start: 2, from: 5 });
    assert!(!rig.remote.has_to_ask("a"));
    // The slices that the member still has are.
    assert!(matches!(rig.read(6).unwrap().whole(), Err(RealtimeError::Asking { .. })));
    assert!(rig.remote.has_to_ask("a"));
    // After a rollback it holds that again.
    rig.sends("a", &[(0, &[6, 7, 8]), (1, &[6, 7, 9])]);
    assert!(!rig.remote.has_to_ask("a"));
    rig.start = Some(2);
    rig.remote.opened("a", &[cut(7), cut(6)]);
    rig.says("a", &[0, 1]);
    assert!(rig.remote.has_to_ask("a"));
}

#[tokio::test]
async fn a_member_that_left_goes_when_its_slices_are_stale() {
    let mut rig = Rig::new(&["a"]).await;
    assert!(rig.read(0).is_err());
    rig.sends("a", &[(0, &[0, 5])]);
    rig.remote.left("a");
    assert_eq!(rig.heads(0), [(0, 5)]);
    rig.pass(STALE * 2);
    rig.remote.sweep(rig.now, Duration::from_secs(30));
    assert_eq!(rig.missing(0).0, [0], "it was read before");
    assert_eq!(rig.total.bytes(), 0);
}
