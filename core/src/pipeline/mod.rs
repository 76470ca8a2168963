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
mod usable_name;

pub use error::{PipelineError, PipelineErrors};
pub use register::register_lookups;
pub use sql_type::sql_type;
pub use suggest::{hint_of, nearest};

/// A parsed pipeline: names are unique across streams, lookups and views.
#[derive(Debug, Clone, Default)]
pub struct Pipeline {
    /// The streams, in the order of the file.
    pub streams: Vec<Stream>,
    /// The lookups, in the order of the file.
    pub lookups: Vec<Lookup>,
    /// The views, in the order of the file.
    pub views: Vec<ViewSql>,
    /// Notes about statements that are allowed and probably not meant, by line.
    pub notes: Vec<PipelineError>,
}

/// A table of records that the log holds: `CREATE EXTERNAL TABLE .. LOCATION 'kafka://TOPIC'`.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Name in SQL.
    pub name: StreamName,
    /// Topic in the log.
    pub topic: String,
    /// Encoding of its records.
    pub format: Format,
    /// The declared columns, in order. With a `timezone` option, a `TIMESTAMP` column is
    /// `Timestamp(unit, Some(zone))`: an instant that prints and truncates in that zone.
    pub columns: SchemaRef,
    /// The declared options.
    pub options: StreamOptions,
}

/// The encoding of a record's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One JSON object.
    Json,
    /// One line without a header; fields in the declared order.
    Csv,
    /// The text of the only column.
    Text,
}

/// The values of a stream's `OPTIONS (..)`; unknown options are errors.
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
    /// `'partitions' '4'`: number of partitions with which a topic is created; 4 by default.
    pub partitions: u32,
    /// `'on_bad_record' 'dead_letter'`: handling of records that do not decode.
    pub on_bad_record: OnBadRecord,
    /// `'on_data_loss' 'stop'`: handling of offsets that the log lost.
    pub on_data_loss: OnDataLoss,
    /// `'header' 'snake_case'`: the rule from a source file's header to field names.
    pub header: Header,
    /// `'delimiter' ';'`: the byte between the fields of CSV, in records and in source files. By default a comma, and
    /// for a file the delimiter of its header.
    pub delimiter: Option<u8>,
    /// `'header.Incident Zip' 'zip'`: field names of single headers, which take precedence over the rule above.
    pub header_names: Vec<(String, String)>,
    /// `'null' 'NA'`: the text that means null in CSV files, besides the empty one; several separated by `|`.
    pub null_texts: Vec<String>,
}

/// The handling of a record that does not decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnBadRecord {
    /// It is stored as a dead letter, and landing goes on.
    DeadLetter,
    /// The partition's landing stops in front of it.
    Stop,
}

/// The handling of a record whose evaluation fails in a view: `CREATE VIEW v WITH (on_error = 'null') AS ..`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnError {
    /// The record is left out of the view, and is a row of `sys.view_errors`.
    #[default]
    DeadLetter,
    /// The expression that fails is NULL.
    Null,
    /// The view stops in front of it.
    Stop,
}

impl OnError {
    /// The spelling in SQL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DeadLetter => "dead_letter",
            Self::Null => "null",
            Self::Stop => "stop",
        }
    }
}

/// The handling of records that the log dropped before they were landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDataLoss {
    /// The partition's landing stops in front of them.
    Stop,
    /// They are recorded as a gap, and landing continues behind it.
    Continue,
}

/// The rule from a source file's header to field names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// Field names are the headers as written.
    AsIs,
    /// `X Coordinate (State Plane)` becomes `x_coordinate_state_plane`.
    SnakeCase,
    /// The file has no header: the columns are in the declared order.
    None,
}

/// A small table beside the stream, read whole: `STORED AS CSV | PARQUET LOCATION 'agencies.csv'`.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// Name in SQL.
    pub name: String,
    /// The declared columns; `None` when the file's own are used.
    pub columns: Option<SchemaRef>,
    /// Encoding of the file.
    pub format: LookupFormat,
    /// Path of the file, absolute or made so against the SQL file's folder.
    pub path: PathBuf,
    /// Whether the file begins with a header; CSV only.
    pub has_header: bool,
    /// The byte between fields; CSV only.
    pub delimiter: u8,
    /// Hash of the file's bytes when the pipeline was parsed.
    pub content: String,
}

/// The encoding of a lookup's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupFormat {
    /// Comma-separated values, or another delimiter.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// A view as written: planned by [`crate::view`].
#[derive(Debug, Clone)]
pub struct ViewSql {
    /// Name in SQL.
    pub name: ViewName,
    /// The text of the query after `AS`.
    pub sql: String,
    /// The option `on_error`; `None` for the default.
    pub on_error: Option<OnError>,
    /// 1-based line of the statement in the pipeline's file.
    pub line: usize,
}
