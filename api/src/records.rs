//! Appending records, and the progress of a source.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::prefix::Prefix;

/// The most numbered or framed records of one request.
pub const MOST_PER_REQUEST: u64 = 20_000;

/// Query parameters of a request that appends records.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppendQuery {
    /// The source whose records these are. With it, each is appended once, however often it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Number of the first record among the source's, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// The source's records up to the last of these, in short ([`Prefix`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Decode the records, and append nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// The answer to an append.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appended {
    /// Records in the request.
    pub received: u64,
    /// Number of those that the log did not have before.
    pub appended: u64,
}

/// The answer to a dry run, in which a server decodes records and appends nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryRun {
    /// Records in the request.
    pub received: u64,
    /// Number of those that would become dead letters.
    pub dead: u64,
    /// The reason of the first of these.
    pub error: Option<String>,
}

/// The progress of a source in a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePosition {
    /// Number of the first record to send.
    pub next: u64,
    /// The log has the records before this one but for a few. They are sent without waiting for their turn, and the
    /// server leaves out those that it has.
    pub seen: u64,
    /// The records of the source that the log holds are among these.
    #[serde(default, serialize_with = "as_text", deserialize_with = "from_text")]
    pub prefix: Option<Prefix>,
}

fn as_text<S: Serializer>(prefix: &Option<Prefix>, serializer: S) -> Result<S::Ok, S::Error> {
    prefix.map(|prefix| prefix.to_string()).serialize(serializer)
}

fn from_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Prefix>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(serde::de::Error::custom)).transpose()
}
