//! The first records of a source, in short: their number, and a digest that distinguishes them from others.

use std::fmt;
use std::str::FromStr;

/// Number and digest ([`Chain`]) of the first records of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// Number of records.
    pub records: u64,
    /// The first 8 bytes of the BLAKE3 hash over each record's length (8 bytes, big-endian) and bytes.
    pub digest: u64,
}

/// `60000:0123456789abcdef`.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:016x}", self.records, self.digest)
    }
}

/// A text that is no prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a prefix: write the number of records, `:` and 16 hexadecimal digits")]
pub struct NoPrefix;

impl FromStr for Prefix {
    type Err = NoPrefix;

    fn from_str(text: &str) -> Result<Self, NoPrefix> {
        let (records, digest) = text.split_once(':').ok_or(NoPrefix)?;
        let (records, digest) = (records.parse().ok(), u64::from_str_radix(digest, 16).ok());
        Ok(Self { records: records.ok_or(NoPrefix)?, digest: digest.ok_or(NoPrefix)? })
    }
}

/// Hashes the records of a source one after the other, for their [`Prefix`].
#[derive(Debug, Clone, Default)]
pub struct Chain {
    hasher: blake3::Hasher,
    records: u64,
}

impl Chain {
    /// Adds the next record.
    pub fn push(&mut self, record: &[u8]) {
        self.hasher.update(&(record.len() as u64).to_be_bytes());
        self.hasher.update(record);
        self.records += 1;
    }

    /// Number of records so far.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Number and digest of all records so far.
    pub fn prefix(&self) -> Prefix {
        let mut digest = [0; 8];
        digest.copy_from_slice(&self.hasher.finalize().as_bytes()[..8]);
        Prefix { records: self.records, digest: u64::from_be_bytes(digest) }
    }
}
