//! How far each source has come in a partition, read back from the headers of the records themselves.
//!
//! ```text
//! offsets   first ........ covered.start ............ covered.end .... end
//!           not looked at   every mark is in `last`   appended since, by others too
//! ```
//!
//! Before a source appends, what came since is looked at, so that it may be sent to this process today and to
//! another tomorrow. For one that was not met yet, the partition is searched backwards, in windows that grow, to its
//! start if need be: once, since every source on the way is remembered. What retention deletes takes its marks along.

use std::collections::HashMap;
use std::sync::Arc;

use dovetail_core::offsets::OffsetRange;

use super::delivery::Delivery;

/// The first window that is searched backwards, in offsets; each next one is four times as large.
pub(super) const WINDOW: i64 = 1024;
/// How many appends of this process are remembered, so that they need not be read back.
const OWN: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) covered: Option<OffsetRange>,
    last: HashMap<String, u64>,
    /// Appended by this process past `covered`, with marks that are in `last`, or none.
    own: Vec<OffsetRange>,
    /// Appends that nobody waits for any more, and what they come to.
    pending: HashMap<String, Vec<(Arc<Delivery>, u64, usize)>>,
}

impl Sources {
    pub(super) fn last(&self, source: &str) -> Option<u64> {
        self.last.get(source).copied()
    }

    /// A record of `source` with this number is in the log.
    pub(super) fn met(&mut self, source: &str, number: u64) {
        match self.last.get_mut(source) {
            Some(last) => *last = number.max(*last),
            None => {
                self.last.insert(source.to_owned(), number);
            }
        }
    }

    /// This process appended `records` at `range`: they need not be read back if nothing else can be between.
    pub(super) fn appended(&mut self, range: OffsetRange, records: usize) {
        let Some(covered) = &mut self.covered else { return };
        if range.width().unsigned_abs() != records as u64 || range.start < covered.end {
            return;
        }
        self.own.push(range);
        self.own.sort_unstable_by_key(|own| own.start);
        while self.own.first().is_some_and(|own| own.start == covered.end) {
            covered.end = self.own.remove(0).end;
        }
        // Forgetting one costs only reading it.
        self.own.truncate(OWN);
    }

    /// Where to look next for what came up to `end`, and where not, in front of it.
    pub(super) fn uncovered(&mut self, end: i64) -> Option<OffsetRange> {
        let covered = self.covered.get_or_insert(OffsetRange::new(end, end));
        let next = self.own.iter().find(|own| own.start >= covered.end).map_or(end, |own| own.start);
        (covered.end < end).then(|| OffsetRange::new(covered.end, next.min(end)))
    }

    /// Everything up to `end` has been looked at.
    pub(super) fn cover_to(&mut self, end: i64) {
        let Some(covered) = &mut self.covered else { return };
        covered.end = end.max(covered.end);
        while let Some(first) = self.own.first().copied().filter(|own| own.start <= covered.end) {
            covered.end = covered.end.max(first.end);
            self.own.remove(0);
        }
    }

    /// Everything from `start` on has been looked at.
    pub(super) fn cover_from(&mut self, start: i64) {
        if let Some(covered) = &mut self.covered {
            covered.start = start.min(covered.start);
        }
    }

    /// An append of `records` up to `number` is on its way.
    pub(super) fn sent(&mut self, source: &str, delivery: &Arc<Delivery>, number: u64, records: usize) {
        self.pending.entry(source.to_owned()).or_default().push((Arc::clone(delivery), number, records));
    }

    /// Takes note of the appends of `source` that are through; returns one that is not.
    pub(super) fn settle(&mut self, source: &str) -> Option<Arc<Delivery>> {
        let pending = self.pending.remove(source)?;
        let mut left = Vec::new();
        for (delivery, number, records) in pending {
            if !delivery.is_settled() {
                left.push((delivery, number, records));
            } else if let Ok(range) = delivery.outcome() {
                self.met(source, number);
                self.appended(range, records);
            }
            // Of one that failed, the first records may be there: what came since is looked at anyway.
        }
        let waiting = left.first().map(|(delivery, ..)| Arc::clone(delivery));
        if waiting.is_some() {
            self.pending.insert(source.to_owned(), left);
        }
        waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: i64, end: i64) -> OffsetRange {
        OffsetRange::new(start, end)
    }

    #[test]
    fn what_was_appended_here_is_not_read_back() {
        let mut sources = Sources::default();
        assert_eq!(sources.uncovered(10), None);
        sources.appended(range(10, 20), 10);
        assert_eq!(sources.uncovered(20), None);
        // Others appended [20, 25) and lie somewhere in [30, 41).
        sources.appended(range(25, 30), 5);
        sources.appended(range(30, 41), 10);
        assert_eq!(sources.uncovered(41), Some(range(20, 25)));
        sources.cover_to(25);
        assert_eq!(sources.uncovered(41), Some(range(30, 41)));
        sources.cover_to(41);
        assert_eq!(sources.uncovered(41), None);
        assert_eq!(sources.covered, Some(range(10, 41)));
    }

    #[test]
    fn an_append_counts_once_it_is_through() {
        let mut sources = Sources::default();
        let (through, lost, late) = (Delivery::of(1), Delivery::of(1), Delivery::of(1));
        through.arrived(3);
        lost.failed(rdkafka::types::RDKafkaErrorCode::PurgeQueue);
        let late = Arc::new(late);
        sources.sent("s", &Arc::new(through), 7, 1);
        sources.sent("s", &Arc::new(lost), 8, 1);
        sources.sent("s", &late, 9, 1);
        assert!(sources.settle("s").is_some_and(|waiting| Arc::ptr_eq(&waiting, &late)));
        assert_eq!(sources.last("s"), Some(7));
        late.arrived(4);
        assert!(sources.settle("s").is_none());
        assert_eq!(sources.last("s"), Some(9));
        assert!(sources.settle("other").is_none());
    }
}
