//! Records whose evaluation failed: left out of one view, counted, and listed.

use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

/// Greatest number of failed records listed for one folding in memory; the tally covers all.
pub const MOST_LISTED: usize = 10_000;
/// Greatest length of a listed text in characters: expressions, messages and values can be as long as a record.
const MOST_CHARS: usize = 300;

/// A record that was left out of a view, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowError {
    /// The record's partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
    /// The innermost expression that failed.
    pub expression: String,
    /// The message of the error.
    pub error: String,
    /// The columns that the expression reads, with their values: `x = 0, y = NULL`.
    pub value: String,
}

impl RowError {
    pub(super) fn new(partition: i32, offset: i64, [expression, error, value]: [String; 3]) -> Self {
        let [expression, error, value] = [expression, error, value].map(shortened);
        Self { partition, offset, expression, error, value }
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.expression.len() + self.error.len() + self.value.len()
    }
}

impl std::fmt::Display for RowError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { offset, expression, error, value, .. } = self;
        write!(f, "`{expression}` fails at offset {offset}: {error}")?;
        if value.is_empty() { Ok(()) } else { write!(f, " ({value})") }
    }
}

fn shortened(text: String) -> String {
    match text.char_indices().nth(MOST_CHARS) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text,
    }
}

/// Number and digest of the records left out: equal tallies mean the same records. The order and the pieces in which they
/// were folded make no difference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Number of records.
    pub count: u64,
    /// Sum of a hash of each record's partition and offset, wrapping.
    pub digest: u64,
}

impl Tally {
    /// The tally of one record.
    pub fn of(partition: i32, offset: i64) -> Self {
        let mut place = [0; 12];
        place[..4].copy_from_slice(&partition.to_le_bytes());
        place[4..].copy_from_slice(&offset.to_le_bytes());
        let hash = blake3::hash(&place);
        let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
        Self { count: 1, digest: u64::from_le_bytes([a, b, c, d, e, f, g, h]) }
    }

    /// Whether no record was left out.
    pub fn is_zero(&self) -> bool {
        self.count == 0
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { count: self.count.saturating_add(other.count), digest: self.digest.wrapping_add(other.digest) }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// The records that folding a range left out of a view.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowErrors {
    /// The tally of all records.
    pub tally: Tally,
    /// The first [`MOST_LISTED`] records.
    pub listed: Vec<RowError>,
}

impl RowErrors {
    /// Adds a record.
    pub fn push(&mut self, error: RowError) {
        self.tally += Tally::of(error.partition, error.offset);
        if self.listed.len() < MOST_LISTED {
            self.listed.push(error);
        }
    }

    /// Adds the records of another range.
    pub fn append(&mut self, other: &Self) {
        self.tally += other.tally;
        let room = MOST_LISTED.saturating_sub(self.listed.len());
        self.listed.extend(other.listed.iter().take(room).cloned());
    }

    /// Splits the list into parts of up to `n` records; the last part has the tally. No parts when it is empty.
    pub fn in_parts(&self, n: usize) -> impl Iterator<Item = Self> + '_ {
        let parts = self.listed.len().div_ceil(n.max(1)).max(usize::from(!self.is_empty()));
        (1..=parts).map(move |i| Self {
            tally: if i == parts { self.tally } else { Tally::default() },
            listed: self.listed.iter().skip((i - 1) * n).take(n).cloned().collect(),
        })
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.listed.iter().map(RowError::bytes).sum()
    }

    /// Whether no record was left out.
    pub fn is_empty(&self) -> bool {
        self.tally.is_zero() && self.listed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(offset: i64) -> RowError {
        RowError::new(3, offset, ["100 / x".to_owned(), "Divide by zero".to_owned(), "x = 0".to_owned()])
    }

    #[test]
    fn tallies_are_of_records_and_not_of_pieces() {
        let all = |offsets: &[i64]| {
            let mut all = RowErrors::default();
            offsets.iter().for_each(|&offset| all.push(error(offset)));
            all
        };
        let mut pieces = all(&[7, 1]);
        pieces.append(&all(&[4]));
        assert_eq!(pieces.tally, all(&[1, 4, 7]).tally);
        assert_ne!(pieces.tally.digest, all(&[1, 4, 8]).tally.digest);
        assert_ne!(Tally::of(0, 1).digest, Tally::of(1, 0).digest);
    }

    #[test]
    fn parts_put_together_are_the_whole() {
        for n in [0, 1, 3, 6, 7] {
            let mut all = RowErrors::default();
            (0..n).for_each(|offset| all.push(error(offset)));
            let mut again = RowErrors::default();
            all.in_parts(3).for_each(|part| again.append(&part));
            assert_eq!(again, all);
            assert_eq!(all.in_parts(3).count(), (n as usize).div_ceil(3));
        }
        let uncounted = RowErrors { listed: vec![], tally: Tally { count: 5, digest: 6 } };
        assert_eq!(uncounted.in_parts(3).collect::<Vec<_>>(), std::slice::from_ref(&uncounted));
    }

    #[test]
    fn more_are_counted_than_listed() {
        let mut all = RowErrors::default();
        (0..MOST_LISTED as i64 + 5).for_each(|offset| all.push(error(offset)));
        let both = {
            let mut both = all.clone();
            both.append(&all);
            both
        };
        assert_eq!(both.tally.count, 2 * (MOST_LISTED as u64 + 5));
        assert_eq!(both.listed.len(), MOST_LISTED);
    }

    #[test]
    fn long_texts_are_shortened_between_characters() {
        let error = RowError::new(0, 0, ["é".repeat(400), String::new(), "é".repeat(300)]);
        assert_eq!(error.expression, format!("{}..", "é".repeat(300)));
        assert_eq!(error.value, "é".repeat(300));
    }
}
