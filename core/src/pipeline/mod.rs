//! A pipeline: one SQL file that declares streams, lookups and views.

use std::path::PathBuf;

use arrow::datatypes::SchemaRef;
use chrono_tz::Tz;

use crate::name::{StreamName, ViewName};

mod error;
mod fingerprint;
mod lookup;
mod lookup_file;
mod options;
mod parse;
mod register;
mod source;
mod sql_type;
mod statement;
mod stream;
mod suggest;
#[cfg(test)]
mod tests;
mod types;

pub use error::{PipelineError, PipelineErrors};
pub use register::register_lookups;
pub use sql_type::sql_type;
pub use suggest::{hint_of, nearest};

/// A parsed pipeline: names are unique across streams, lookups and views.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    pub streams: Vec<Stream>,
    pub lookups: Vec<Lookup>,
    pub views: Vec<ViewSql>,
    /// What is allowed and probably not meant, by line.
    pub notes: Vec<PipelineError>,
}

/// A table of records that the log holds: `CREATE EXTERNAL TABLE .. LOCATION 'kafka://TOPIC'`.
#[derive(Debug, Clone)]
pub struct Stream {
    pub name: StreamName,
    pub topic: String,
    pub format: Format,
    /// The declared columns, in order. With a `timezone` option, a `TIMESTAMP` column is
    /// `Timestamp(unit, Some(zone))`: an instant that prints and truncates in that zone.
    pub columns: SchemaRef,
    pub options: StreamOptions,
}

/// How a record's value is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    /// One line without a header; fields in the declared order.
    Csv,
    /// The text of the one column, whatever it is.
    Text,
}

/// What `OPTIONS (..)` of a stream can say; unknown options are errors.
#[derive(Debug, Clone)]
pub struct StreamOptions {
    /// `'event_time' 'created_date'`: the column that says when the event happened.
    pub event_time: Option<String>,
    /// `'timezone' 'America/New_York'`: the zone of timestamps that name none.
    pub timezone: Option<Tz>,
    /// `'timestamp_format' '%m/%d/%Y %I:%M:%S %p'`: chrono formats besides ISO 8601, several separated by `|`.
    pub timestamp_formats: Vec<String>,
    /// `'timestamp_unit' 'ms'`: what a number in a timestamp column counts (`s`, `ms`, `us`, `ns`); `ms` by default.
    pub timestamp_unit: arrow::datatypes::TimeUnit,
    /// `'key' 'user_id'`: the column whose text is the record's key, and so decides its partition.
    pub key: Option<String>,
    /// `'partitions' '4'`: how many a topic is created with; 4 by default.
    pub partitions: u32,
    /// `'on_bad_record' 'dead_letter'`.
    pub on_bad_record: OnBadRecord,
    /// `'on_data_loss' 'stop'`.
    pub on_data_loss: OnDataLoss,
    /// `'header' 'snake_case'`: how a source file's header becomes field names.
    pub header: Header,
    /// `'delimiter' ';'`: what is between the fields of CSV, in records and in source files. Without it a comma, and of a
    /// file what its header shows.
    pub delimiter: Option<u8>,
    /// `'header.Incident Zip' 'zip'`: single headers, before the rule above.
    pub header_names: Vec<(String, String)>,
    /// `'null' 'NA'`: the text that means null in CSV files, besides the empty one; several separated by `|`.
    pub null_texts: Vec<String>,
}

/// What happens to a record that does not decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBadRecord {
    DeadLetter,
    Stop,
}

/// What happens to a record whose evaluation fails in a view: `CREATE VIEW v WITH (on_error = 'null') AS ..`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnError {
    /// It is left out of the view, and is a row of `sys.view_errors`.
    #[default]
    DeadLetter,
    /// The expression that fails is NULL.
    Null,
    /// The view stops in front of it.
    Stop,
}

impl OnError {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DeadLetter => "dead_letter",
            Self::Null => "null",
            Self::Stop => "stop",
        }
    }
}

/// What happens where the log has dropped records that were not landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDataLoss {
    /// The partition's landing stops in front of the hole.
    Stop,
    /// The hole is recorded as a gap, and landing goes on behind it.
    Continue,
}

/// How a source file's header becomes field names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    AsIs,
    /// `X Coordinate (State Plane)` becomes `x_coordinate_state_plane`.
    SnakeCase,
    /// There is none: the columns are in the declared order.
    None,
}

/// A small table beside the stream, read whole: `STORED AS CSV | PARQUET LOCATION 'agencies.csv'`.
#[derive(Debug, Clone)]
pub struct Lookup {
    pub name: String,
    pub columns: Option<SchemaRef>,
    pub format: LookupFormat,
    /// Absolute, or made so against the SQL file's folder.
    pub path: PathBuf,
    /// CSV only.
    pub has_header: bool,
    pub delimiter: u8,
    /// Hash of the file's bytes when the pipeline was parsed.
    pub content: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupFormat {
    Csv,
    Parquet,
}

/// A view as written: planned by [`crate::view`].
#[derive(Debug, Clone)]
pub struct ViewSql {
    pub name: ViewName,
    /// The text of the query after `AS`.
    pub sql: String,
    /// `None`: as by default.
    pub on_error: Option<OnError>,
    /// 1-based line of the statement in the pipeline's file.
    pub line: usize,
}
