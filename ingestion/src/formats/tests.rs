//! Records in, rows and dead letters out.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use arrow::array::{AsArray, BinaryArray, Int64Array, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{Fields, Int64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono_tz::{America, Tz};
use dovetail_core::name::StreamName;
use dovetail_core::pipeline::{Header, OnBadRecord, OnDataLoss, StreamOptions};
use dovetail_core::record::Records;
use proptest::prelude::*;

use super::*;

const MS: TimeUnit = TimeUnit::Millisecond;

fn stream(format: Format, columns: Vec<Field>) -> Stream {
    Stream {
        name: StreamName::parse("clicks").unwrap(),
        topic: "clicks".to_owned(),
        format,
        columns: Arc::new(Schema::new(columns)),
        options: StreamOptions {
            event_time: None,
            timezone: None,
            timestamp_formats: Vec::new(),
            timestamp_unit: MS,
            key: None,
            partitions: 1,
            on_bad_record: OnBadRecord::DeadLetter,
            on_data_loss: OnDataLoss::Stop,
            header: Header::AsIs,
            header_names: Vec::new(),
            delimiter: None,
            null_texts: Vec::new(),
        },
    }
}

fn in_zone(mut stream: Stream, tz: Tz) -> Stream {
    stream.options.timezone = Some(tz);
    stream
}

fn decoder(stream: Stream) -> Decoder {
    Decoder::new(Arc::new(stream)).unwrap()
}

fn column(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

/// One column named `x`.
fn json_x(data_type: DataType) -> Stream {
    stream(Format::Json, vec![column("x", data_type)])
}

fn struct_of(fields: Vec<Field>) -> DataType {
    DataType::Struct(Fields::from(fields))
}

fn list_of(data_type: DataType) -> DataType {
    DataType::new_list(data_type, true)
}

/// Values at offsets 10, 13, 16 ..
fn fetched(values: &[Option<&[u8]>]) -> Fetched {
    let n = values.len();
    Fetched {
        offsets: (0..n).map(|i| 10 + 3 * i as i64).collect::<Int64Array>(),
        records: Records {
            timestamps: TimestampMillisecondArray::from_iter_values((0..n).map(|i| i as i64)),
            keys: BinaryArray::from_iter((0..n).map(|i| (i % 2 == 0).then(|| format!("key{i}")))),
            values: BinaryArray::from_iter(values),
            headers: StringArray::from_iter((0..n).map(|i| (i % 3 == 0).then_some(r#"{"a":"b"}"#))),
        },
        range: OffsetRange::new(10, 10 + 3 * n as i64),
    }
}

fn decode(decoder: &mut Decoder, values: &[&str]) -> Decoded {
    let values: Vec<Option<&[u8]>> = values.iter().map(|value| Some(value.as_bytes())).collect();
    decoder.decode(3, &fetched(&values)).unwrap()
}

/// Every declared column of a row, as text.
fn row_text(decoded: &Decoded, row: usize) -> String {
    let options = FormatOptions::default().with_null("null");
    let schema = decoded.rows.schema();
    let declared = schema.fields().iter().take_while(|field| !field.name().starts_with('_')).count();
    let texts: Vec<String> = decoded.rows.columns()[..declared]
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options).unwrap().value(row).to_string())
        .collect();
    texts.join("|")
}

/// The row that one value decodes to, or its error.
fn outcome(decoder: &mut Decoder, value: &str) -> Result<String, String> {
    let decoded = decode(decoder, &[value]);
    match decoded.dead.as_slice() {
        [] => Ok(row_text(&decoded, 0)),
        [dead] => {
            assert_eq!(decoded.rows.num_rows(), 0, "{value}");
            Err(dead.reason())
        }
        more => panic!("{value}: {more:?}"),
    }
}

/// Checks `(value, Ok(row))` and `(value, Err(part of the error))`.
fn check(decoder: &mut Decoder, cases: &[(&str, Result<&str, &str>)]) {
    for (value, expected) in cases {
        match (outcome(decoder, value), expected) {
            (Ok(row), Ok(expected)) => assert_eq!(row, *expected, "{value}"),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{value}: {error}"),
            (outcome, _) => panic!("{value}: {outcome:?} instead of {expected:?}"),
        }
    }
}

mod exact;
mod json;
mod mixes;
mod real;
mod separated;
mod times;
