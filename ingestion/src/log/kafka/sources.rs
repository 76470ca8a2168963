//! Positions of sources in a partition, read back from the headers of the records themselves.
//!
//! ```text
//! offsets   first ........ covered.start ............ covered.end .... end
//!           not looked at   every mark is in `last`   appended since, by others too
//! ```
//!
//! When a source is taken over, the records appended since are read, so that it may be sent to this process today and
//! to another tomorrow. For a source that was not met yet, the partition is searched backwards, in windows that grow,
//! to its start if need be: once, since every source on the way is remembered. Retention deletes marks with their
//! records.
//!
//! Only some sources are remembered with their positions, those requested last; of the others it is known that they
//! were met. So a source that was never met is known to be new, and a forgotten one is searched for again.

use std::collections::HashMap;

use dovetail_core::offsets::OffsetRange;
use metrics::counter;

use crate::log::kafka::bloom::Forgotten;
use crate::log::{SourcePosition, Spread};

/// The first window of the backward search, in offsets; each next one is four times as large.
pub(super) const WINDOW: i64 = 1024;
/// Number of appends of this process that are remembered, so that they need not be read back.
const OWN: usize = 4096;
/// Number of sources remembered per partition; up to twice as many, until the older half was not requested.
const SOURCES_REMEMBERED_MAX: usize = 8192;

#[derive(Debug)]
pub(super) struct Sources {
    pub(super) covered: Option<OffsetRange>,
    most: usize,
    /// The sources requested or met lately, and before that. Without a position: the source is certainly not in the
    /// log.
    young: HashMap<String, Option<SourcePosition>>,
    old: HashMap<String, Option<SourcePosition>>,
    forgotten: Forgotten,
    /// Ranges appended by this process past `covered`, whose marks are remembered, or which have none.
    own: Vec<OffsetRange>,
}

impl Default for Sources {
    fn default() -> Self {
        Self {
            covered: None,
            most: SOURCES_REMEMBERED_MAX,
            young: HashMap::new(),
            old: HashMap::new(),
            forgotten: Forgotten::default(),
            own: Vec::new(),
        }
    }
}

/// The knowledge of a source in all that is covered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    At(SourcePosition),
    /// The whole partition was searched without a mark of it.
    Nowhere,
    Unmet,
    /// A source of this name, or one that looks like it, was met and forgotten.
    Forgotten,
}

impl Sources {
    pub(super) fn find(&mut self, source: &str) -> Found {
        if let Some(position) = self.old.remove(source) {
            self.remember(source, position);
        }
        match self.young.get(source) {
            Some(Some(position)) => Found::At(position.clone()),
            Some(None) => Found::Nowhere,
            None if self.forgotten.may_have(source) => Found::Forgotten,
            None => Found::Unmet,
        }
    }

    /// Remembers that a record of `source` with this number is in the log.
    pub(super) fn met(&mut self, source: &str, last: u64, spread: &Spread) {
        if let Some(Some(position)) = self.young.get_mut(source) {
            if last > position.last {
                position.last = last;
                if position.spread != *spread {
                    position.spread = spread.clone();
                }
            }
            return;
        }
        let before = self.young.remove(source).or_else(|| self.old.remove(source)).flatten();
        let here = SourcePosition { last, spread: spread.clone() };
        let position = before.filter(|before| before.last >= last).unwrap_or(here);
        self.remember(source, Some(position));
    }

    /// The same for a source met during a search for another one: it evicts no other.
    pub(super) fn met_behind(&mut self, source: &str, last: u64, spread: &Spread) {
        let known = self.young.contains_key(source) || self.old.contains_key(source);
        if known || self.young.len() < self.most / 2 {
            self.met(source, last, spread);
        } else {
            self.forgotten.add(source);
        }
    }

    fn remember(&mut self, source: &str, position: Option<SourcePosition>) {
        if self.young.len() >= self.most {
            let driven_out = std::mem::replace(&mut self.old, std::mem::take(&mut self.young));
            counter!("dovetail_log_sources_forgotten_total").increment(driven_out.len() as u64);
            driven_out.keys().for_each(|source| self.forgotten.add(source));
        }
        self.young.insert(source.to_owned(), position);
    }

    /// Remembers that the partition was searched to its start without a mark of the source.
    pub(super) fn is_nowhere(&mut self, source: &str) {
        self.remember(source, None);
    }

    /// Whether everything from `start` on was searched.
    pub(super) fn starts_by(&self, start: i64) -> bool {
        self.covered.is_some_and(|covered| covered.start <= start)
    }

    /// Restarts the search from the first append; remembered sources stay right.
    pub(super) fn look_again(&mut self) {
        if let Some(covered) = &mut self.covered {
            covered.start = covered.end;
        }
        self.forgotten = Forgotten::default();
    }

    /// Records that this process appended `records` at `range`: they need not be read back if nothing else can be
    /// between.
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
        // A forgotten range is only read again.
        self.own.truncate(OWN);
    }

    /// The next range to be read for records up to `end`, behind ranges that need no reading.
    pub(super) fn uncovered(&mut self, end: i64) -> Option<OffsetRange> {
        let covered = self.covered.get_or_insert(OffsetRange::new(end, end));
        let next = self.own.iter().find(|own| own.start >= covered.end).map_or(end, |own| own.start);
        (covered.end < end).then(|| OffsetRange::new(covered.end, next.min(end)))
    }

    /// Records that everything up to `end` was read.
    pub(super) fn cover_to(&mut self, end: i64) {
        let Some(covered) = &mut self.covered else { return };
        covered.end = end.max(covered.end);
        while let Some(first) = self.own.first().copied().filter(|own| own.start <= covered.end) {
            covered.end = covered.end.max(first.end);
            self.own.remove(0);
        }
    }

    /// Records that everything from `start` on was read.
    pub(super) fn cover_from(&mut self, start: i64) {
        if let Some(covered) = &mut self.covered {
            covered.start = start.min(covered.start);
        }
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
    fn so_many_are_remembered_and_of_the_others_that_they_were_met() {
        let mut sources = Sources { most: 10, covered: Some(range(0, 100)), ..Sources::default() };
        let spread = Spread::over(2);
        let name = |i: u64| format!("source {i}");
        for i in 0..1_000 {
            sources.met(&name(i), i, &spread);
            // A source that is requested now and then stays.
            assert_eq!(sources.find(&name(0)), Found::At(SourcePosition { last: 0, spread: spread.clone() }));
        }
        assert!(sources.young.len() + sources.old.len() <= 20);
        assert_eq!(sources.find(&name(500)), Found::Forgotten);
        assert_eq!(sources.find("never met"), Found::Unmet);

        sources.look_again();
        assert_eq!(sources.covered, Some(range(100, 100)));
        for i in 0..1_000 {
            sources.met_behind(&name(i), i, &spread);
        }
        let at = |i| Found::At(SourcePosition { last: i, spread: Spread::over(2) });
        assert_eq!(sources.find(&name(999)), at(999), "those that appended last were not driven out");
        assert_eq!(sources.find(&name(500)), Found::Forgotten);
        sources.is_nowhere(&name(500));
        assert_eq!(sources.find(&name(500)), Found::Nowhere);
        sources.met(&name(500), 7, &spread);
        assert_eq!(sources.find(&name(500)), at(7));
    }
}
