//! Offsets: the next record to read of each partition, and the ranges between them.
//!
//! An offset is always the *next* one to read. A range is half-open and may skip numbers:
//!
//! ```text
//! records   0  1  2  _  _  5  6
//! [0, 5)    ^-------------^        holds 0, 1 and 2
//! ```

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A half-open range `[start, end)` of one partition's offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OffsetRange {
    /// The first offset of the range.
    pub start: i64,
    /// The offset after the range.
    pub end: i64,
}

impl OffsetRange {
    /// `[start, end)`.
    ///
    /// # Panics
    /// When `end < start`: ranges are built from positions that only move forward, so that is a bug.
    pub fn new(start: i64, end: i64) -> Self {
        assert!(start <= end, "range [{start}, {end}) runs backwards");
        Self { start, end }
    }

    /// Whether no offset lies in the range.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Number of offsets in the range: an upper bound of its records.
    pub fn width(self) -> i64 {
        self.end - self.start
    }

    /// Whether `offset` lies in the range.
    pub fn contains(self, offset: i64) -> bool {
        self.start <= offset && offset < self.end
    }

    /// Whether `offset` lies strictly inside: a boundary there would cut the range in two.
    pub fn is_cut_by(self, offset: i64) -> bool {
        self.start < offset && offset < self.end
    }
}

impl fmt::Display for OffsetRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}

/// A vector of offsets: partition -> next offset to read. A partition that is absent stands at 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offsets(BTreeMap<i32, i64>);

impl From<Offsets> for BTreeMap<i32, i64> {
    fn from(offsets: Offsets) -> Self {
        offsets.0
    }
}

impl Offsets {
    /// The offset of `partition`, 0 when absent.
    pub fn get(&self, partition: i32) -> i64 {
        self.0.get(&partition).copied().unwrap_or(0)
    }

    /// Sets the offset of `partition`.
    pub fn set(&mut self, partition: i32, offset: i64) {
        self.0.insert(partition, offset);
    }

    /// Partitions and their offsets, by partition.
    pub fn iter(&self) -> impl Iterator<Item = (i32, i64)> + '_ {
        self.0.iter().map(|(&partition, &offset)| (partition, offset))
    }

    /// Whether the partition is named.
    pub fn contains(&self, partition: i32) -> bool {
        self.0.contains_key(&partition)
    }

    /// Names the partition no longer.
    pub fn remove(&mut self, partition: i32) {
        self.0.remove(&partition);
    }

    /// The partitions named.
    pub fn partitions(&self) -> impl Iterator<Item = i32> + '_ {
        self.0.keys().copied()
    }

    /// Sum of all offsets: how far the vector reaches, in records where offsets do not skip.
    pub fn total(&self) -> i64 {
        self.0.values().sum()
    }
}

impl FromIterator<(i32, i64)> for Offsets {
    fn from_iter<I: IntoIterator<Item = (i32, i64)>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

/// Vectors are ordered only when every partition agrees.
impl PartialOrd for Offsets {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let mut all = Ordering::Equal;
        for partition in self.partitions().chain(other.partitions()) {
            let one = self.get(partition).cmp(&other.get(partition));
            match (all, one) {
                (_, Ordering::Equal) => {}
                (Ordering::Equal, _) => all = one,
                (a, b) if a == b => {}
                _ => return None,
            }
        }
        Some(all)
    }
}

impl fmt::Display for Offsets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (partition, offset)) in self.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{partition}: {offset}")?;
        }
        f.write_str("}")
    }
}

/// An offset vector frozen in a manifest: the batch layer holds every record below it, the speed layer every
/// record at or above.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cut(pub Offsets);

impl Cut {
    /// The cut's offset in `partition`.
    pub fn get(&self, partition: i32) -> i64 {
        self.0.get(partition)
    }
}

/// The error for a text that is no cut; holds the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a cut as `{{0: 5, 1: 7}}` is")]
pub struct NotACut(pub String);

/// Parses the displayed form.
impl FromStr for Cut {
    type Err = NotACut;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let inside = text.strip_prefix('{')?.strip_suffix('}')?;
            let pairs = inside.split(", ").filter(|_| !inside.is_empty());
            let pair = |pair: &str| {
                let (partition, offset) = pair.split_once(": ")?;
                Some((partition.parse().ok()?, offset.parse().ok()?))
            };
            pairs.map(pair).collect::<Option<Offsets>>()
        };
        parse().map(Self).ok_or_else(|| NotACut(text.to_owned()))
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offsets(pairs: &[(i32, i64)]) -> Offsets {
        pairs.iter().copied().collect()
    }

    #[test]
    fn vectors_are_partially_ordered() {
        let low = offsets(&[(0, 5), (1, 7)]);
        let high = offsets(&[(0, 6), (1, 7)]);
        let aside = offsets(&[(0, 4), (1, 9)]);
        assert!(low < high);
        assert_eq!(low.partial_cmp(&aside), None);
        assert_eq!(offsets(&[(0, 0)]).partial_cmp(&offsets(&[])), Some(Ordering::Equal));
    }

    #[test]
    fn a_range_is_half_open() {
        let range = OffsetRange::new(3, 5);
        assert!(range.contains(3) && range.contains(4) && !range.contains(5));
        assert!(range.is_cut_by(4) && !range.is_cut_by(3) && !range.is_cut_by(5));
        assert_eq!(range.to_string(), "[3, 5)");
    }

    #[test]
    fn offsets_print_and_round_trip_as_json() {
        let cut = Cut(offsets(&[(0, 5), (11, 7)]));
        assert_eq!(cut.to_string(), "{0: 5, 11: 7}");
        for cut in [cut.clone(), Cut::default()] {
            assert_eq!(cut.to_string().parse(), Ok(cut));
        }
        for wrong in ["", "0: 5", "{0: 5", "{0}", "{0: 5, }", "{0: x}", "{a: 5}"] {
            assert_eq!(wrong.parse::<Cut>(), Err(NotACut(wrong.to_owned())));
        }
        let json = serde_json::to_string(&cut).unwrap();
        assert_eq!(json, r#"{"0":5,"11":7}"#);
        assert_eq!(serde_json::from_str::<Cut>(&json).unwrap(), cut);
    }
}
