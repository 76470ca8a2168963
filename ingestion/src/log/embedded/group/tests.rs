use super::*;
use crate::log::Spread;
use crate::log::embedded::topic::Topic;

fn topic() -> Topic {
    Topic::new("t", 7, [OffsetRange::new(0, 100), OffsetRange::new(0, 0)])
}

fn append(topic: &Topic, partition: usize, records: Records, mark: Option<(u64, u64)>) -> Append {
    let queue = Arc::new(tokio::sync::Semaphore::new(1));
    Append {
        partition: Arc::clone(&topic.partitions[partition]),
        records,
        mark: mark.map(|(first, last)| SourceMark {
            source: "s".to_owned(),
            numbers: vec![first, last],
            spread: Spread::over(2),
        }),
        reply: oneshot::channel().0,
        share: queue.try_acquire_owned().unwrap(),
    }
}

fn values(n: usize, bytes: usize) -> Records {
    Records::from_values(0, vec![vec![b'x'; bytes].as_slice(); n])
}

fn sizes(plan: &GroupPlan, topic: &Topic, partition: usize) -> Vec<usize> {
    let batches = plan.growth[&topic.partitions[partition].id].batches();
    batches.iter().map(|batch| batch.iter().map(Records::len).sum()).collect()
}

fn appended(start: i64, end: i64) -> GroupedAppend {
    GroupedAppend::Appended(OffsetRange::new(start, end))
}

#[test]
fn offsets_continue_per_partition_in_the_order_of_arrival() {
    let topic = topic();
    let group: Vec<_> = [(0, 2), (1, 3), (0, 0), (0, 1)].map(|(p, n)| append(&topic, p, values(n, 1), None)).into();
    let plan = plan(&group, |_, _| Ok(None)).unwrap();
    assert_eq!(plan.outcomes, [appended(100, 102), appended(0, 3), appended(102, 102), appended(102, 103)]);
}

#[test]
fn a_mark_counts_within_the_group() {
    let topic = topic();
    let marked = |first, last| append(&topic, 0, values(2, 1), Some((first, last)));
    let group = [marked(0, 9), marked(10, 11), marked(10, 11), marked(11, 12), marked(12, 13)];
    let plan = plan(&group, |_, _| Ok(Some(9))).unwrap();
    let overlap = GroupedAppend::Overlap { source: "s".to_owned(), first: 11, appended: 11 };
    assert_eq!(
        plan.outcomes,
        [appended(100, 100), appended(100, 102), appended(102, 102), overlap, appended(102, 104)]
    );
    assert_eq!(plan.positions[&(topic.partitions[0].id, "s".to_owned())].last, 13);
}

#[test]
fn what_changes_nothing_writes_nothing() {
    let topic = topic();
    let group = [append(&topic, 0, values(1, 1), Some((0, 5))), append(&topic, 1, values(0, 0), None)];
    let plan = plan(&group, |_, _| Ok(Some(5))).unwrap();
    assert!(plan.growth.is_empty() && plan.positions.is_empty());
}

#[test]
fn small_appends_share_a_batch_and_large_ones_are_split() {
    let topic = topic();
    let singles: Vec<_> = (0..500).map(|_| append(&topic, 0, values(1, 100), None)).collect();
    assert_eq!(sizes(&plan(&singles, |_, _| Ok(None)).unwrap(), &topic, 0), [500]);

    let half = BATCH_BYTES / 2;
    let large = [append(&topic, 0, values(1, 10), None), append(&topic, 0, values(5, half), None)];
    assert_eq!(sizes(&plan(&large, |_, _| Ok(None)).unwrap(), &topic, 0), [2, 2, 2]);

    let huge = [append(&topic, 0, values(1, 10), None), append(&topic, 0, values(2, 3 * half), None)];
    assert_eq!(sizes(&plan(&huge, |_, _| Ok(None)).unwrap(), &topic, 0), [1, 1, 1]);
}
