//! A stream as clients see it, so that a client that reads a source for it reads as the server does.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use dovetail_api::stream::{ColumnInfo, StreamInfo};
use dovetail_core::name::StreamName;
use dovetail_core::pipeline::{Format, Header, OnBadRecord, OnDataLoss, Stream, StreamOptions};

/// The error for a stream option of a server that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the server's {what} `{value}` is unknown here: is it of this version?")]
pub struct UnknownOption {
    /// The option.
    pub what: &'static str,
    /// The server's value.
    pub value: String,
}

const UNITS: [(&str, TimeUnit); 4] = [
    ("s", TimeUnit::Second),
    ("ms", TimeUnit::Millisecond),
    ("us", TimeUnit::Microsecond),
    ("ns", TimeUnit::Nanosecond),
];
const FORMATS: [(&str, Format); 3] = [("json", Format::Json), ("csv", Format::Csv), ("text", Format::Text)];
const HEADERS: [(&str, Header); 3] =
    [("as_is", Header::AsIs), ("snake_case", Header::SnakeCase), ("none", Header::None)];

fn name_of<T: PartialEq>(names: &[(&str, T)], value: T) -> String {
    names.iter().find(|(_, named)| *named == value).map_or_else(String::new, |(name, _)| (*name).to_owned())
}

/// The value that the server calls `name`; a newer server may have more of them.
fn named<T: Copy>(names: &[(&str, T)], what: &'static str, name: &str) -> Result<T, UnknownOption> {
    let found = names.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    found.ok_or_else(|| UnknownOption { what, value: name.to_owned() })
}

/// The part of `stream` that a reader of its sources needs.
pub fn stream_info(stream: &Stream) -> StreamInfo {
    let options = &stream.options;
    let columns = stream.columns.fields().iter().map(|f| ColumnInfo {
        name: f.name().clone(),
        data_type: f.data_type().to_string(),
        nullable: f.is_nullable(),
    });
    StreamInfo {
        name: stream.name.to_string(),
        topic: stream.topic.clone(),
        format: name_of(&FORMATS, stream.format),
        columns: columns.collect(),
        partitions: options.partitions,
        key: options.key.clone(),
        event_time: options.event_time.clone(),
        timezone: options.timezone.map(|zone| zone.name().to_owned()),
        timestamp_formats: options.timestamp_formats.clone(),
        timestamp_unit: name_of(&UNITS, options.timestamp_unit),
        header: name_of(&HEADERS, options.header),
        header_names: options.header_names.clone(),
        delimiter: options.delimiter.map(char::from),
        null_texts: options.null_texts.clone(),
    }
}

/// A stream for reading sources as the server does. Its columns have names, not types.
///
/// # Errors
/// When the server has options that this version does not know.
pub fn stream_of(info: StreamInfo) -> Result<Stream, UnknownOption> {
    let column = |column: &ColumnInfo| Field::new(&column.name, DataType::Utf8, column.nullable);
    let columns: Vec<Field> = info.columns.iter().map(column).collect();
    let unknown = |what, value: String| UnknownOption { what, value };
    let delimiter = info.delimiter.map(|c| u8::try_from(c).map_err(|_| unknown("delimiter", c.to_string())));
    let timezone = info.timezone.map(|zone| zone.parse().map_err(|_| unknown("time zone", zone)));
    let name = StreamName::parse(&info.name).map_err(|_| unknown("name of the stream", info.name))?;
    Ok(Stream {
        name,
        topic: info.topic,
        format: named(&FORMATS, "format", &info.format)?,
        columns: Arc::new(Schema::new(columns)),
        options: StreamOptions {
            event_time: info.event_time,
            timezone: timezone.transpose()?,
            timestamp_formats: info.timestamp_formats,
            timestamp_unit: named(&UNITS, "unit of timestamps", &info.timestamp_unit)?,
            key: info.key,
            partitions: info.partitions,
            on_bad_record: OnBadRecord::DeadLetter,
            on_data_loss: OnDataLoss::Stop,
            header: named(&HEADERS, "header", &info.header)?,
            header_names: info.header_names,
            delimiter: delimiter.transpose()?,
            null_texts: info.null_texts,
        },
    })
}
