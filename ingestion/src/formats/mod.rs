//! Decoding of records: values become rows with the stream's columns; a value that does not decode becomes a dead
//! letter.

mod null_reason;
mod reason;
mod recheck;

use self::null_reason::null_reason;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, BooleanArray, Int32Array, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::pipeline::{Format, Stream};
use dovetail_core::record::{Fetched, column};

use self::csv::Csv;
pub(crate) use self::csv::delimiter;
pub use self::csv::{QUOTES_DO_NOT_CLOSE, split as split_line};
use self::json::Json;
use self::lines::TextLines;
use self::timestamp::TimestampReader;
use crate::formats::reason::Why;

mod batcher;
mod csv;
mod json;
mod lines;
mod normalise;
mod shape;
mod text;
mod timestamp;
mod types;
mod zone;

#[cfg(test)]
mod tests;

/// A decoded batch of one partition.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The partition's number.
    pub partition: i32,
    /// The offsets that the rows and dead letters cover together: every record of the range is one of them.
    pub range: OffsetRange,
    /// The rows: columns of [`Decoder::schema`], ascending by `_offset`.
    pub rows: RecordBatch,
    /// The records that did not decode, ascending by offset.
    pub dead: Vec<DeadLetter>,
}

/// A record that did not decode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The record's offset.
    pub offset: i64,
    /// Time of production, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
    /// The record's key; `None` without one.
    pub key: Option<Vec<u8>>,
    /// The record's value; `None` for a tombstone.
    pub value: Option<Vec<u8>>,
    /// A JSON object, as in [`dovetail_core::record::Records::headers`].
    pub headers: Option<String>,
    /// The reason, the same for all records that fail alike.
    pub error: String,
    /// The part of the reason that is specific to this record: the value, or a place in it.
    pub detail: Option<String>,
}

impl DeadLetter {
    /// The reason with the record's own detail.
    pub fn reason(&self) -> String {
        match &self.detail {
            Some(detail) => format!("{}: {detail}", self.error),
            None => self.error.clone(),
        }
    }
}

/// The reason why decoding as a whole failed.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A column's type cannot be decoded from the stream's format.
    #[error("stream `{stream}`: column `{column}` cannot be decoded: {why}")]
    Column { stream: String, column: String, why: String },
    /// Arrow could not build the columns.
    #[error("decoding failed")]
    Arrow(#[from] ArrowError),
}

/// A decoder of one stream's records. Planned once, used by one task at a time.
///
/// Undeclared fields are ignored, absent ones are null. The result for a record depends on nothing but the record.
#[derive(Debug)]
pub struct Decoder {
    stream: Arc<Stream>,
    schema: SchemaRef,
    codec: Codec,
    timestamps: TimestampReader,
}

#[derive(Debug)]
enum Codec {
    Json(Box<Json>),
    Csv(Csv),
    Lines(TextLines),
}

/// A batch after parsing: the columns in [`types::raw_schema`] or, for CSV, as text.
#[derive(Debug)]
struct Parsed {
    /// The records that decoded, in order.
    batch: RecordBatch,
    /// Ascending by row.
    dead: Vec<DeadRow>,
}

/// A record of the present batch that does not decode.
#[derive(Debug)]
struct DeadRow {
    row: usize,
    why: Why,
}

/// The columns of a stream's decoded records: the declared ones, all nullable, as Parquet readers want to find them
/// whatever is declared later, and the record's own.
pub fn decoded_schema(stream: &Stream) -> SchemaRef {
    let declared = stream.columns.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let own = [
        Field::new(column::PARTITION, DataType::Int32, false),
        Field::new(column::OFFSET, DataType::Int64, false),
        Field::new(column::TIMESTAMP, DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())), false),
        Field::new(column::KEY, DataType::Binary, true),
        Field::new(column::HEADERS, DataType::Utf8, true),
        Field::new(column::VALUE, DataType::Binary, true),
    ];
    Arc::new(Schema::new(declared.chain(own).collect::<Vec<_>>()))
}

impl Decoder {
    /// Plans the decoding of `stream`; fails when a column's type cannot be decoded from its format.
    pub fn new(stream: Arc<Stream>) -> Result<Self, DecodeError> {
        let columns = stream.columns.fields();
        let error =
            |column: &str, why| DecodeError::Column { stream: stream.name.to_string(), column: column.to_owned(), why };
        for field in columns {
            if let Some(why) = types::refusal(field.data_type(), stream.format) {
                return Err(error(field.name(), why));
            }
        }
        let timestamps = TimestampReader::new(&stream.options).map_err(|why| {
            let first = columns.iter().find(|field| matches!(field.data_type(), DataType::Timestamp(..)));
            error(first.map_or("", |field| field.name()), why)
        })?;
        let codec = match stream.format {
            Format::Json => Codec::Json(Box::new(Json::new(&stream.columns)?)),
            Format::Csv => Codec::Csv(Csv::new(&stream.columns, &stream.options)),
            Format::Text => Codec::Lines(TextLines::new(&stream.columns)),
        };
        Ok(Self { schema: decoded_schema(&stream), stream, codec, timestamps })
    }

    /// The schema of [`Decoded::rows`].
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Decodes records read from `partition`. Without a dead letter the record's own columns are not copied.
    pub fn decode(&mut self, partition: i32, fetched: &Fetched) -> Result<Decoded, DecodeError> {
        let values = &fetched.records.values;
        let Parsed { batch, mut dead } = match &mut self.codec {
            Codec::Json(json) => json.parse(values)?,
            Codec::Csv(csv) => csv.parse(values)?,
            Codec::Lines(lines) => lines.parse(values)?,
        };
        let mut columns = Vec::with_capacity(self.schema.fields().len());
        let mut bad = Vec::new();
        let fields = self.stream.columns.fields();
        for (index, (raw, field)) in batch.columns().iter().zip(fields).enumerate() {
            let column = text::convert(raw, field.data_type(), field.name(), &mut self.timestamps, &mut bad)?;
            if !field.is_nullable() && column.null_count() > 0 {
                // After the texts: a bad one has become null here, and the first of a row's errors is kept.
                let alive = rows_without(values.len(), &dead);
                let why = |row: usize| null_reason(&self.stream, index, values.value(alive[row]));
                let null = (0..column.len()).filter(|&row| column.is_null(row));
                bad.extend(null.map(|row| DeadRow { row, why: why(row) }));
            }
            columns.push(column);
        }
        if !bad.is_empty() {
            bad.sort_by_key(|bad| bad.row);
            bad.dedup_by_key(|bad| bad.row);
            let mask = without(batch.num_rows(), bad.iter().map(|bad| bad.row));
            columns = columns.iter().map(|column| filter(column, &mask)).collect::<Result<_, _>>()?;
            add_bad(&mut dead, bad, values.len());
        }
        columns.extend(own_columns(partition, fetched, &dead)?);
        Ok(Decoded {
            partition,
            range: fetched.range,
            rows: RecordBatch::try_new(self.schema(), columns)?,
            dead: dead.into_iter().map(|dead| dead_letter(fetched, dead)).collect(),
        })
    }
}

/// A mask of `len` rows without those in `dead`.
fn without(len: usize, dead: impl Iterator<Item = usize>) -> BooleanArray {
    let mut alive = vec![true; len];
    dead.for_each(|row| alive[row] = false);
    BooleanArray::new(BooleanBuffer::from(alive), None)
}

/// The rows of all `len` that are not `dead`.
fn rows_without(len: usize, dead: &[DeadRow]) -> Vec<usize> {
    without(len, dead.iter().map(|dead| dead.row)).values().set_indices().collect()
}

/// Adds `bad` rows, numbered among the rows that are not dead, to the `dead` ones among all `len`.
fn add_bad(dead: &mut Vec<DeadRow>, bad: Vec<DeadRow>, len: usize) {
    let rows = rows_without(len, dead);
    dead.extend(bad.into_iter().map(|bad| DeadRow { row: rows[bad.row], why: bad.why }));
    dead.sort_by_key(|dead| dead.row);
}

/// The columns that every stream has, without the rows that are `dead`.
fn own_columns(partition: i32, fetched: &Fetched, dead: &[DeadRow]) -> Result<Vec<ArrayRef>, ArrowError> {
    let records = &fetched.records;
    let mut columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from_value(partition, records.len())),
        Arc::new(fetched.offsets.clone()),
        Arc::new(records.timestamps.clone().with_timezone("UTC")),
        Arc::new(records.keys.clone()),
        Arc::new(records.headers.clone()),
        Arc::new(records.values.clone()),
    ];
    if !dead.is_empty() {
        let mask = without(records.len(), dead.iter().map(|dead| dead.row));
        columns = columns.iter().map(|column| filter(column, &mask)).collect::<Result<_, _>>()?;
    }
    Ok(columns)
}

fn dead_letter(fetched: &Fetched, dead: DeadRow) -> DeadLetter {
    let records = &fetched.records;
    let bytes = |array: &BinaryArray| array.is_valid(dead.row).then(|| array.value(dead.row).to_vec());
    DeadLetter {
        offset: fetched.offsets.value(dead.row),
        timestamp_ms: records.timestamps.value(dead.row),
        key: bytes(&records.keys),
        value: bytes(&records.values),
        headers: records.headers.is_valid(dead.row).then(|| records.headers.value(dead.row).to_owned()),
        error: dead.why.error,
        detail: dead.why.detail,
    }
}
