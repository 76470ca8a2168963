//! The meet of batch and realtime views: the only place that compares their offsets.

use std::collections::BTreeSet;

use crate::offsets::{Cut, Offsets};
use crate::realtime::{Partitions, RealtimeView};

/// Batch states and realtime states that do not fit together. The fields are offsets and partition numbers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are the facts that the messages name")]
pub enum MeetError {
    /// Records between the two views are in neither.
    #[error("gap in partition {partition}: batch ends at {batch_end}, realtime starts at {realtime_start}")]
    Gap { partition: i32, batch_end: i64, realtime_start: i64 },
    /// Records are in both views.
    #[error("overlap in partition {partition}: batch ends at {batch_end}, realtime starts at {realtime_start}")]
    Overlap { partition: i32, batch_end: i64, realtime_start: i64 },
    /// The realtime view lacks these partitions.
    #[error("{} missing from the realtime view", Partitions(.partitions))]
    Missing { partitions: Vec<i32> },
    /// The slices of a partition are not contiguous from the cut to the head.
    #[error("hole in partition {partition} of the realtime view: a slice starts at {found} instead of {expected}")]
    Hole { partition: i32, expected: i64, found: i64 },
}

/// Proof that a batch view and a realtime view cover the log without gap or overlap, from its start to `head`.
///
/// Partitions in `missing` are covered by the batch view only: their head is the cut, whatever the log has above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Met {
    /// The cut of the batch view.
    pub cut: Cut,
    /// The offset up to which each partition is covered.
    pub head: Offsets,
    /// Partitions without a realtime view, ascending; empty unless the views were met in part.
    pub missing: Vec<i32>,
}

/// Checks that `realtime` starts exactly where a batch view with `cut` ends, and goes on without a gap to its head.
///
/// ```text
/// batch     ──────────────┤ cut
/// realtime                ├──slice──├──slice──┤ head
/// ```
///
/// Every partition that any part names is checked: `0..partitions` that are known to exist, those of the cut, and those
/// of the start, the head, the slices and the missing ones of `realtime`. So a partition that one part knows before the
/// others is neither merged unchecked nor left out unnamed:
///
/// | in the head | start and cut | slices | result |
/// |---|---|---|---|
/// | no | any | none | missing |
/// | no | any | some | a hole: slices that end nowhere |
/// | yes | start above the cut | any | a gap |
/// | yes | start below the cut | any | an overlap |
/// | yes | equal | one after the other from the cut to the head | met |
/// | yes | equal | anything else, or a head below the cut | a hole |
///
/// A part that does not name a partition has it at 0.
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

/// The same, for the partitions that `realtime` has; the others end at the cut and are named in the result.
///
/// # Errors
/// Names the first partition in which there is a gap, an overlap or a hole.
pub fn meet_in_part(cut: &Cut, realtime: &RealtimeView, partitions: u32) -> Result<Met, MeetError> {
    let mut met = Met { cut: cut.clone(), head: realtime.head.clone(), missing: vec![] };
    let held: BTreeSet<i32> = realtime.head.partitions().collect();
    for partition in named(cut, realtime, partitions) {
        if held.contains(&partition) {
            joins(cut, realtime, partition)?;
            continue;
        }
        // A missing partition must not be in the answer either.
        if let Some(slice) = realtime.slices.iter().find(|slice| slice.partition == partition) {
            let found = slice.range.start;
            return Err(MeetError::Hole { partition, expected: cut.get(partition), found });
        }
        met.head.set(partition, cut.get(partition));
        met.missing.push(partition);
    }
    Ok(met)
}

/// The partitions that any of the parts names, ascending.
fn named(cut: &Cut, realtime: &RealtimeView, partitions: u32) -> BTreeSet<i32> {
    let known = 0..i32::try_from(partitions).unwrap_or(i32::MAX);
    let told = realtime.start.0.partitions().chain(realtime.head.partitions());
    let told = told.chain(realtime.slices.iter().map(|slice| slice.partition));
    known.chain(cut.0.partitions()).chain(told).chain(realtime.missing.keys().copied()).collect()
}

fn joins(cut: &Cut, realtime: &RealtimeView, partition: i32) -> Result<(), MeetError> {
    let batch_end = cut.get(partition);
    let realtime_start = realtime.start.get(partition);
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
mod tests;
