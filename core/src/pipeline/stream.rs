//! A stream's declaration, decoded schema and fingerprint.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::sql::parser::CreateExternalTable;
use datafusion::sql::sqlparser::tokenizer::Location;

use super::error::ErrorReport;
use super::fingerprint::Fingerprint;
use super::options::{self, OptionEntry};
use super::usable_name::usable;
use super::{Format, Stream, types};
use crate::name::StreamName;
use crate::record::column;
use crate::stored;

/// Version of decoding. It changes when this program decodes some records into other rows than the one before: segments
/// landed by that one are decoded again.
const DECODING: &str = "4";

impl Stream {
    /// The schema of decoded records: the declared columns, then those that every stream has. All are nullable; `NOT
    /// NULL` is checked while decoding.
    pub fn decoded_schema(&self) -> SchemaRef {
        let declared = self.columns.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
        let metadata = [
            (column::PARTITION, DataType::Int32),
            (column::OFFSET, DataType::Int64),
            (column::TIMESTAMP, DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))),
            (column::KEY, DataType::Binary),
            (column::HEADERS, DataType::Utf8),
            (column::VALUE, DataType::Binary),
        ];
        let metadata = metadata.into_iter().map(|(name, data_type)| Field::new(name, data_type, true));
        Arc::new(Schema::new(declared.chain(metadata).collect::<Vec<_>>()))
    }

    /// Hash that changes when the same records could decode into other rows, and with the format of segments, so that a
    /// segment of another format is never read as if it were of this one; hexadecimal.
    pub fn fingerprint(&self) -> String {
        let options = &self.options;
        let mut hash = Fingerprint::new("stream");
        hash.text(DECODING).text(&stored::FORMAT.to_string());
        hash.text(self.name.as_str()).text(&self.topic).text(&format!("{:?}", self.format));
        hash.schema(&self.columns);
        hash.text(options.timezone.map_or("", |zone| zone.name()));
        hash.texts(&options.timestamp_formats).text(&format!("{:?}", options.timestamp_unit));
        hash.texts(&options.null_texts);
        if let (Format::Csv, Some(delimiter)) = (self.format, options.delimiter) {
            hash.bytes(&[delimiter]);
        }
        hash.finish()
    }
}

/// Reads a `CREATE EXTERNAL TABLE` whose location is a topic.
pub(super) fn declared(
    name: &str,
    name_at: Location,
    topic: &str,
    topic_at: Location,
    table: &CreateExternalTable,
    entries: &[OptionEntry],
    report: &mut ErrorReport<'_>,
) -> Option<Stream> {
    let name = usable(StreamName::parse(name), name_at, report);
    check_topic(topic, topic_at, report);
    let format = format(&table.file_type, report);
    let zone = options::timezone(entries, report);
    let columns = types::schema(&table.columns, zone, report);
    if columns.fields().is_empty() {
        let hint = "write them after the name: `(user_id BIGINT, url VARCHAR, ..)`";
        report.hint(name_at, "a stream declares its columns", hint);
    }
    let options = options::stream(entries, zone, format.unwrap_or(Format::Json), &columns, report);
    Some(Stream { name: name?, topic: topic.to_owned(), format: format?, columns, options })
}

fn format(file_type: &str, report: &mut ErrorReport<'_>) -> Option<Format> {
    match file_type {
        "JSON" => Some(Format::Json),
        "CSV" => Some(Format::Csv),
        "TEXT" => Some(Format::Text),
        other => {
            let message = format!("a stream cannot be stored as {other}");
            report.hint(report.start, message, "write `STORED AS JSON`, `STORED AS CSV` or `STORED AS TEXT`");
            None
        }
    }
}

/// Checks Kafka's rule for names of topics.
fn check_topic(topic: &str, at: Location, report: &mut ErrorReport<'_>) {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if topic.is_empty() {
        report.hint(at, "the location names no topic", "write `kafka://TOPIC`");
    } else if topic.len() > 249 || !topic.chars().all(allowed) || topic == "." || topic == ".." {
        let hint = "write 1 to 249 letters, digits, `.`, `_` or `-` after `kafka://`; brokers are not named here";
        report.hint(at, format!("`{topic}` is not a topic's name"), hint);
    }
}
