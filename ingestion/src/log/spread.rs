//! The spread of a source: the number of partitions over its records, which changes when partitions are added to the
//! topic.
//!
//! ```text
//! number       0 .......... 40,000 .......... 52,000 ......
//! partitions   4            6                 9
//! ```
//!
//! A record that is sent again goes to the same partition as before, so each mark in the log holds the spread of the
//! numbers up to its own, as far back as an interrupted request may reach. It also holds the prefix of the source, if
//! the sender gave one.

use std::fmt;
use std::str::FromStr;

use dovetail_api::prefix::Prefix;

/// Greatest number of changes kept: with so many within one request, further partitions are not used for the time
/// being.
const CHANGES_MAX: usize = 16;

/// Numbers of partitions, each with the record number from which it applies. Empty where none was stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spread {
    entries: Vec<(u64, u32)>,
    prefix: Option<Prefix>,
}

impl Spread {
    /// The spread over `partitions` from the first record on.
    pub fn over(partitions: u32) -> Self {
        Self { entries: vec![(0, partitions)], prefix: None }
    }

    /// The spread of stored numbers and counts; `None` when they do not both ascend, or are empty.
    pub(super) fn stored(entries: Vec<(u64, u32)>) -> Option<Self> {
        let ascend = entries.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 < two[1].1);
        let whole = entries.len() <= CHANGES_MAX && entries.first().is_some_and(|(_, partitions)| *partitions > 0);
        (ascend && whole).then_some(Self { entries, prefix: None })
    }

    pub(super) fn entries(&self) -> &[(u64, u32)] {
        &self.entries
    }

    /// The prefix of the source that the sender gave for the records up to the mark.
    pub fn prefix(&self) -> Option<Prefix> {
        self.prefix
    }

    /// The same with another prefix.
    pub fn with_prefix(self, prefix: Option<Prefix>) -> Self {
        Self { prefix, ..self }
    }

    /// Whether a spread was stored: marks of older versions have none.
    pub fn is_known(&self) -> bool {
        !self.entries.is_empty()
    }

    /// The greatest number of partitions in it.
    pub fn most(&self) -> u32 {
        self.entries.last().map_or(0, |(_, partitions)| *partitions)
    }

    /// The number of partitions over which the record with this number is spread.
    pub fn at(&self, number: u64) -> u32 {
        let later = self.entries.partition_point(|(from, _)| *from <= number);
        // A number below the first entry is older than the entries kept.
        self.entries.get(later.saturating_sub(1)).map_or(0, |(_, partitions)| *partitions)
    }

    /// The spread of the records from `oldest` on. Those from `seen` on are spread over `partitions`: none of them is
    /// in the log, so they may go anywhere.
    pub fn then(&self, oldest: u64, seen: u64, partitions: u32) -> Self {
        let mut entries = self.entries.clone();
        let gone = entries.partition_point(|(from, _)| *from <= oldest).saturating_sub(1);
        entries.drain(..gone);
        if partitions > self.most() {
            entries.retain(|(from, _)| *from < seen);
            if entries.len() < CHANGES_MAX {
                entries.push((if entries.is_empty() { 0 } else { seen }, partitions));
            }
        }
        Self { entries, prefix: None }
    }
}

/// Formats `4`, or `4,6@40000,9@52000`; the first number only if it is not 0. A known prefix follows:
/// `4=60000:0123456789abcdef`.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (from, partitions)) in self.entries.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            match from {
                0 => write!(f, "{comma}{partitions}")?,
                from => write!(f, "{comma}{partitions}@{from}")?,
            }
        }
        self.prefix.map_or(Ok(()), |prefix| write!(f, "={prefix}"))
    }
}

/// The error for a text that is no spread.
#[derive(Debug, PartialEq, Eq)]
pub struct NoSpread;

impl FromStr for Spread {
    type Err = NoSpread;

    fn from_str(text: &str) -> Result<Self, NoSpread> {
        let entry = |part: &str| {
            let (partitions, from) = part.split_once('@').unwrap_or((part, "0"));
            Some((from.parse().ok()?, partitions.parse().ok()?))
        };
        let (spread, prefix) = text.split_once('=').map_or((text, None), |(spread, prefix)| (spread, Some(prefix)));
        let entries = spread.split(',').map(entry).collect::<Option<Vec<_>>>();
        let prefix = prefix.map(|text| text.parse().map_err(|_| NoSpread)).transpose()?;
        Ok(entries.and_then(Self::stored).ok_or(NoSpread)?.with_prefix(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_stay_where_they_went_and_new_ones_go_everywhere() {
        let grown = Spread::over(4).then(20_000, 40_000, 6);
        assert_eq!((grown.at(0), grown.at(39_999), grown.at(40_000), grown.at(u64::MAX)), (4, 4, 6, 6));
        let again = grown.then(32_000, 52_000, 9);
        assert_eq!(again.to_string(), "4,6@40000,9@52000");
        // No record remains that was spread by the first.
        assert_eq!(again.then(40_000, 60_000, 9).to_string(), "6@40000,9@52000");
        assert_eq!(again.then(70_000, 90_000, 9).to_string(), "9@52000");
        // None of the records that were to be spread over nine is in the log.
        assert_eq!(again.then(31_000, 51_000, 12).to_string(), "4,6@40000,12@51000");
    }

    #[test]
    fn fewer_partitions_change_nothing() {
        let spread = Spread::over(4).then(0, 100, 6);
        assert_eq!(spread.then(0, 200, 4), spread);
    }

    #[test]
    fn a_source_that_has_nothing_in_the_log_is_spread_over_all() {
        assert_eq!(Spread::default().then(0, 0, 5), Spread::over(5));
        assert_eq!(Spread::over(4).then(0, 0, 5), Spread::over(5));
    }

    #[test]
    fn it_stays_small() {
        let mut spread = Spread::over(1);
        for i in 1..100 {
            spread = spread.then(0, u64::from(i) * 10, i + 1);
        }
        assert_eq!(spread.entries().len(), CHANGES_MAX);
        assert_eq!(spread.most(), 16, "further partitions wait until the first ones are no longer needed");
        assert_eq!(spread.then(1_000, 21_000, 100).at(21_000), 100);
    }

    #[test]
    fn it_is_written_and_read() {
        for text in ["4", "4,6@40000", "6@40000,9@52000", "4=7:00000000000000ff", "4,6@40000=60000:0123456789abcdef"] {
            assert_eq!(text.parse::<Spread>().unwrap().to_string(), text);
        }
        for text in ["", "0", "x", "4,", "4@1,6@0", "6,4@10", "4,4@10", "-1", "4@x", "4=", "4=7", "4=7:x", "4=x:0"] {
            assert_eq!(text.parse::<Spread>(), Err(NoSpread), "{text}");
        }
    }
}
