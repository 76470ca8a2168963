//! Where batch and realtime views meet: the one place that compares them.

use crate::offsets::{Cut, Offsets};
use crate::realtime::{Partitions, RealtimeView, Slice};

/// Batch states and realtime states that do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MeetError {
    #[error("gap in partition {partition}: batch ends at {batch_end}, realtime starts at {realtime_start}")]
    Gap { partition: i32, batch_end: i64, realtime_start: i64 },
    #[error("overlap in partition {partition}: batch ends at {batch_end}, realtime starts at {realtime_start}")]
    Overlap { partition: i32, batch_end: i64, realtime_start: i64 },
    #[error("{} missing from the realtime view", Partitions(.partitions))]
    Missing { partitions: Vec<i32> },
    #[error("hole in partition {partition} of the realtime view: a slice starts at {found} instead of {expected}")]
    Hole { partition: i32, expected: i64, found: i64 },
}

/// Proof that a batch view and a realtime view cover the log without gap or overlap, from its start to `head`.
///
/// Partitions in `missing` are covered by the batch view only: their head is the cut, whatever the log has above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    pub cut: Cut,
    pub head: Offsets,
    /// Ascending; empty unless the views were met in part.
    pub missing: Vec<i32>,
}

/// Checks that `realtime` starts exactly where a batch view with `cut` ends, for all partitions `0..partitions`.
///
/// ```text
/// batch     ──────────────┤ cut
/// realtime                ├──slice──├──slice──┤ head
/// ```
///
/// # Errors
/// Names the partitions that are missing, or the first in which there is a gap, an overlap or a hole.
pub fn meet(cut: &Cut, realtime: &RealtimeView, partitions: u32) -> Result<Met, MeetError> {
    let met = meet_in_part(cut, realtime, partitions)?;
    match met.missing.is_empty() {
        true => Ok(met),
        false => Err(MeetError::Missing { partitions: met.missing }),
    }
}

/// The same, for those partitions that `realtime` has; the others end at the cut, and are named.
///
/// # Errors
/// Names the first partition in which there is a gap, an overlap or a hole.
pub fn meet_in_part(cut: &Cut, realtime: &RealtimeView, partitions: u32) -> Result<Met, MeetError> {
    let mut met = Met { cut: cut.clone(), head: realtime.head.clone(), missing: vec![] };
    for partition in 0..partitions.cast_signed() {
        if realtime.head.partitions().any(|held| held == partition) {
            joins(cut, realtime, partition)?;
        } else {
            met.head.set(partition, cut.get(partition));
            met.missing.push(partition);
        }
    }
    // What is missing must not be in the answer either.
    match realtime.slices.iter().find(|slice| met.missing.contains(&slice.partition)) {
        Some(Slice { partition, range, .. }) => {
            Err(MeetError::Hole { partition: *partition, expected: cut.get(*partition), found: range.start })
        }
        None => Ok(met),
    }
}

fn joins(cut: &Cut, realtime: &RealtimeView, partition: i32) -> Result<(), MeetError> {
    let batch_end = cut.get(partition);
    let realtime_start = realtime.floor.get(partition);
    if realtime_start > batch_end {
        return Err(MeetError::Gap { partition, batch_end, realtime_start });
    }
    if realtime_start < batch_end {
        return Err(MeetError::Overlap { partition, batch_end, realtime_start });
    }
    let mut expected = batch_end;
    for slice in realtime.slices.iter().filter(|slice| slice.partition == partition) {
        let found = slice.range.start;
        if found != expected {
            return Err(MeetError::Hole { partition, expected, found });
        }
        expected = slice.range.end;
    }
    let head = realtime.head.get(partition);
    match expected == head {
        true => Ok(()),
        false => Err(MeetError::Hole { partition, expected, found: head }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::offsets::OffsetRange;

    fn realtime(ranges: &[(i32, i64, i64)]) -> RealtimeView {
        let mut view = RealtimeView::default();
        for &(partition, start, end) in ranges {
            if view.head.partitions().all(|p| p != partition) {
                view.floor.0.set(partition, start);
            }
            view.head.set(partition, end);
            view.slices.push(Slice { partition, range: OffsetRange::new(start, end), state: Arc::default() });
        }
        view
    }

    fn cut(offsets: &[(i32, i64)]) -> Cut {
        Cut(offsets.iter().copied().collect())
    }

    #[test]
    fn views_meet_at_the_cut() {
        let met = meet(&cut(&[(0, 5), (1, 0)]), &realtime(&[(0, 5, 7), (0, 7, 9), (1, 0, 0)]), 2).unwrap();
        assert_eq!(met.head, [(0, 9), (1, 0)].into_iter().collect());
    }

    #[test]
    fn gaps_overlaps_and_holes_are_refused() {
        let at_5 = cut(&[(0, 5)]);
        let gap = MeetError::Gap { partition: 0, batch_end: 5, realtime_start: 6 };
        assert_eq!(meet(&at_5, &realtime(&[(0, 6, 9)]), 1), Err(gap));
        let overlap = MeetError::Overlap { partition: 0, batch_end: 5, realtime_start: 4 };
        assert_eq!(meet(&at_5, &realtime(&[(0, 4, 9)]), 1), Err(overlap));
        let hole = MeetError::Hole { partition: 0, expected: 7, found: 8 };
        assert_eq!(meet(&at_5, &realtime(&[(0, 5, 7), (0, 8, 9)]), 1), Err(hole));
        let missing = MeetError::Missing { partitions: vec![1] };
        assert_eq!(meet(&at_5, &realtime(&[(0, 5, 7)]), 2), Err(missing));
    }

    #[test]
    fn in_part_the_missing_end_at_the_cut_and_are_named() {
        let at = cut(&[(0, 5), (1, 3), (2, 4)]);
        let met = meet_in_part(&at, &realtime(&[(0, 5, 7), (2, 4, 4)]), 3).unwrap();
        assert_eq!((met.head, met.missing), ([(0, 7), (1, 3), (2, 4)].into_iter().collect(), vec![1]));
        let hole = MeetError::Hole { partition: 0, expected: 5, found: 6 };
        let mut broken = realtime(&[(0, 6, 7)]);
        broken.floor = at.clone();
        assert_eq!(meet_in_part(&at, &broken, 3), Err(hole));
        let mut stray = realtime(&[(0, 5, 7), (1, 3, 4)]);
        stray.head = [(0, 7)].into_iter().collect();
        assert_eq!(meet_in_part(&at, &stray, 2), Err(MeetError::Hole { partition: 1, expected: 3, found: 3 }));
    }
}
