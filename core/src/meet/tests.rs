//! Every row of the table of cases, and the property that it stands for.

use proptest::prelude::*;

use super::*;
use crate::name::ViewName;
use crate::offsets::OffsetRange;
use crate::realtime::{RealtimeError, Slice};

fn slice(partition: i32, start: i64, end: i64) -> Slice {
    Slice::empty(partition, OffsetRange::new(start, end))
}

fn realtime(ranges: &[(i32, i64, i64)]) -> RealtimeView {
    let mut view = RealtimeView::default();
    for &(partition, start, end) in ranges {
        if view.head.partitions().all(|p| p != partition) {
            view.start.0.set(partition, start);
        }
        view.head.set(partition, end);
        view.slices.push(slice(partition, start, end));
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
fn a_head_below_the_cut_is_a_hole() {
    let mut behind = realtime(&[(0, 5, 5)]);
    behind.head = [(0, 3)].into_iter().collect();
    let hole = MeetError::Hole { partition: 0, expected: 5, found: 3 };
    assert_eq!(meet(&cut(&[(0, 5)]), &behind, 1), Err(hole));
}

#[test]
fn in_part_the_missing_end_at_the_cut_and_are_named() {
    let at = cut(&[(0, 5), (1, 3), (2, 4)]);
    let met = meet_in_part(&at, &realtime(&[(0, 5, 7), (2, 4, 4)]), 3).unwrap();
    assert_eq!((met.head, met.missing), ([(0, 7), (1, 3), (2, 4)].into_iter().collect(), vec![1]));
    let hole = MeetError::Hole { partition: 0, expected: 5, found: 6 };
    let mut broken = realtime(&[(0, 6, 7)]);
    broken.start = at.clone();
    assert_eq!(meet_in_part(&at, &broken, 3), Err(hole));
    let mut stray = realtime(&[(0, 5, 7), (1, 3, 4)]);
    stray.head = [(0, 7)].into_iter().collect();
    assert_eq!(meet_in_part(&at, &stray, 2), Err(MeetError::Hole { partition: 1, expected: 3, found: 3 }));
}

#[test]
fn a_partition_that_only_the_cut_knows_is_missing() {
    let at = cut(&[(0, 5), (7, 3)]);
    let known = realtime(&[(0, 5, 7)]);
    assert_eq!(meet(&at, &known, 1), Err(MeetError::Missing { partitions: vec![7] }));
    let met = meet_in_part(&at, &known, 1).unwrap();
    assert_eq!((met.head, met.missing), ([(0, 7), (7, 3)].into_iter().collect(), vec![7]));
}

#[test]
fn a_partition_above_the_count_is_checked_as_any_other() {
    let at = cut(&[(0, 5), (7, 3)]);
    let overlap = MeetError::Overlap { partition: 7, batch_end: 3, realtime_start: 0 };
    assert_eq!(meet(&at, &realtime(&[(0, 5, 7), (7, 0, 4)]), 1), Err(overlap));
    let gap = MeetError::Gap { partition: 7, batch_end: 0, realtime_start: 2 };
    assert_eq!(meet(&cut(&[(0, 5)]), &realtime(&[(0, 5, 7), (7, 2, 4)]), 1), Err(gap));
    let hole = MeetError::Hole { partition: 7, expected: 4, found: 5 };
    assert_eq!(meet(&at, &realtime(&[(0, 5, 7), (7, 3, 4), (7, 5, 6)]), 1), Err(hole));
    let met = meet(&at, &realtime(&[(0, 5, 7), (7, 3, 4)]), 1).unwrap();
    assert_eq!((met.head, met.missing), ([(0, 7), (7, 4)].into_iter().collect(), vec![]));
}

#[test]
fn whoever_names_a_partition_has_it_named() {
    let known = realtime(&[(0, 5, 7)]);
    let at = cut(&[(0, 5)]);
    let mut by_start = known.clone();
    by_start.start.0.set(3, 0);
    assert_eq!(meet(&at, &by_start, 1), Err(MeetError::Missing { partitions: vec![3] }));
    let mut by_slice = known.clone();
    by_slice.slices.push(slice(3, 2, 2));
    assert_eq!(meet(&at, &by_slice, 1), Err(MeetError::Hole { partition: 3, expected: 0, found: 2 }));
    let mut as_missing = known;
    as_missing.missing.insert(3, RealtimeError::Unfilled(ViewName::parse("clicks").unwrap()));
    assert_eq!(meet_in_part(&at, &as_missing, 1).unwrap().missing, [3]);
}

/// Number of times that each offset below `END` is covered by the batch view and by the slices.
fn covered(cut: &Cut, realtime: &RealtimeView, partition: i32) -> Vec<usize> {
    let mut times = vec![0; END as usize];
    let slices = realtime.slices.iter().filter(|slice| slice.partition == partition).map(|slice| slice.range);
    for range in slices.chain([OffsetRange::new(0, cut.get(partition))]) {
        (range.start..range.end).for_each(|offset| times[offset as usize] += 1);
    }
    times
}

/// Whether both together hold every offset of `[0, head)` once, and none from there on.
fn once_up_to(head: i64, times: &[usize]) -> bool {
    (0..).zip(times).all(|(offset, &times)| times == usize::from(offset < head))
}

const END: i64 = 12;
const PARTITIONS: i32 = 4;

/// One partition, as a cut and a realtime view have it: mostly right, so that many of them meet.
#[derive(Debug, Clone)]
struct Have {
    cut: Option<i64>,
    start: Option<i64>,
    head: Option<i64>,
    slices: Vec<(i64, i64)>,
}

fn have() -> impl Strategy<Value = Have> {
    let wrong = (0..40u8, 0..END, any::<bool>());
    (proptest::collection::vec(0..END, 1..5), any::<bool>(), wrong).prop_map(|(mut ends, in_cut, wrong)| {
        ends.sort_unstable();
        let (first, last) = if in_cut { (ends[0], ends[ends.len() - 1]) } else { (0, ends[ends.len() - 1]) };
        ends[0] = first;
        let slices = ends.windows(2).map(|ends| (ends[0], ends[1])).collect();
        let mut have = Have { cut: in_cut.then_some(first), start: Some(first), head: Some(last), slices };
        if ends.len() == 1 {
            have.head = Some(first);
        }
        let (what, at, some) = wrong;
        match what {
            0 => have.cut = some.then_some(at),
            1 => have.start = some.then_some(at),
            2 => have.head = some.then_some(at),
            3 => have.slices.push((at, at)),
            4 => have.slices.push((at, END)),
            5 => drop(have.slices.pop()),
            6 => have.slices.reverse(),
            7 => have = Have { cut: have.cut, start: None, head: None, slices: vec![] },
            8 => have = Have { cut: None, start: None, head: None, slices: vec![] },
            _ => {}
        }
        have
    })
}

proptest! {
    #[test]
    fn what_meets_covers_every_offset_once(
        have in proptest::collection::vec(have(), PARTITIONS as usize),
        count in 0..PARTITIONS as u32,
    ) {
        let (mut cut, mut realtime) = (Cut::default(), RealtimeView::default());
        for (partition, have) in (0..).zip(&have) {
            have.cut.into_iter().for_each(|at| cut.0.set(partition, at));
            have.start.into_iter().for_each(|at| realtime.start.0.set(partition, at));
            have.head.into_iter().for_each(|at| realtime.head.set(partition, at));
            realtime.slices.extend(have.slices.iter().map(|&(start, end)| slice(partition, start, end)));
        }
        let is_named = |partition: i32, have: &Have| {
            partition < count.cast_signed()
                || have.cut.or(have.start).or(have.head).is_some()
                || !have.slices.is_empty()
        };
        let named: Vec<(i32, &Have)> = (0..).zip(&have).filter(|(partition, have)| is_named(*partition, have)).collect();
        let is_missing = |have: &Have| have.head.is_none() && have.slices.is_empty();
        let is_right = |partition: i32, have: &Have| {
            let Some(head) = have.head else { return is_missing(have) };
            let in_order = have.slices.windows(2).all(|pair| pair[0].1 <= pair[1].0)
                && have.slices.iter().all(|&(start, end)| head >= end && start >= cut.get(partition));
            realtime.start.get(partition) == cut.get(partition)
                && in_order
                && once_up_to(head, &covered(&cut, &realtime, partition))
        };
        let met = meet_in_part(&cut, &realtime, count);
        if let Ok(met) = &met {
            prop_assert!(met.head.partitions().eq(named.iter().map(|(partition, _)| *partition)));
            for &(partition, have) in &named {
                let head = met.head.get(partition);
                prop_assert!(once_up_to(head, &covered(&cut, &realtime, partition)), "partition {partition} to {head}");
                prop_assert_eq!(met.missing.contains(&partition), have.head.is_none());
            }
        }
        // An empty slice at another offset covers nothing and is refused all the same.
        let no_stray = |have: &Have| have.slices.iter().all(|(start, end)| start < end);
        let all_right = named.iter().all(|(partition, have)| is_right(*partition, have));
        if !all_right {
            prop_assert!(met.is_err());
        } else if named.iter().all(|(_, have)| no_stray(have)) {
            prop_assert!(met.is_ok(), "{met:?}");
        }
        let whole = meet(&cut, &realtime, count);
        match met {
            Ok(met) if met.missing.is_empty() => prop_assert_eq!(whole, Ok(met)),
            Ok(met) => prop_assert_eq!(whole, Err(MeetError::Missing { partitions: met.missing })),
            Err(error) => prop_assert_eq!(whole, Err(error)),
        }
    }
}
