//! A stream as clients see it: all that reading a source for it needs.

use serde::{Deserialize, Serialize};

/// A stream, with the options that say how a source of it is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StreamInfo {
    /// Its name.
    pub name: String,
    /// Its topic in the log.
    pub topic: String,
    /// `json`, `csv` or `text`.
    pub format: String,
    /// In the declared order.
    pub columns: Vec<ColumnInfo>,
    /// Partitions that the topic is created with.
    pub partitions: u32,
    /// The column that chooses a record's partition.
    pub key: Option<String>,
    /// The column that says when a record's event happened.
    pub event_time: Option<String>,
    /// The zone of local times, by its IANA name.
    pub timezone: Option<String>,
    /// `strftime` formats of timestamps, besides ISO 8601.
    pub timestamp_formats: Vec<String>,
    /// Unit of timestamps that are numbers: `s`, `ms`, `us` or `ns`.
    pub timestamp_unit: String,
    /// The rule for a CSV file's header row: `as_is`, `snake_case` or `none`.
    pub header: String,
    /// Names in a header row, and the columns that they are.
    pub header_names: Vec<(String, String)>,
    /// Between the fields of a line of CSV.
    pub delimiter: Option<char>,
    /// Texts that stand for NULL.
    pub null_texts: Vec<String>,
}

/// A column of a stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Its type, as Arrow writes it.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether a record may lack it.
    pub nullable: bool,
}
