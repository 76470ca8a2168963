//! A Parquet file: every row becomes a JSON object, or a line in the stream's own CSV.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::vec::IntoIter;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Schema};
use arrow::error::ArrowError;
use arrow_json::LineDelimitedWriter;
use dovetail_core::pipeline::{Format, Stream};
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::input::InputPosition;
use super::table::csv_line;
use super::text::LONGEST_RECORD;
use super::{Raw, SourceError, header};

const MAGIC: &[u8] = b"PAR1";
const BATCH_ROWS: usize = 1024;

/// The rows of a Parquet file. The line of a row is its number, from 1.
pub(super) struct ParquetRows {
    name: String,
    batches: ParquetRecordBatchReader,
    layout: ParquetLayout,
    made: IntoIter<Vec<u8>>,
    row: u64,
    rows: u64,
    bytes: u64,
    position: InputPosition,
    /// Columns that the records leave out because the stream does not declare them.
    pub(super) ignored: Vec<String>,
}

enum ParquetLayout {
    /// JSON objects with these field names.
    Json(Vec<String>),
    /// CSV: for each declared column the index of the one that fills it, and the delimiter.
    Csv(Vec<Option<usize>>, u8),
}

/// Whether `file` is a Parquet file; it is read from its start afterwards.
pub(super) fn is_parquet(mut file: &File) -> io::Result<bool> {
    let mut magic = Vec::with_capacity(MAGIC.len());
    file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    file.rewind()?;
    Ok(magic == MAGIC)
}

impl ParquetRows {
    pub(super) fn open(
        name: &str,
        file: File,
        bytes: u64,
        position: InputPosition,
        stream: &Stream,
        force: bool,
    ) -> Result<Self, SourceError> {
        if stream.format == Format::Text {
            return Err(SourceError::ParquetForText { name: name.to_owned(), stream: stream.name.to_string() });
        }
        let unreadable = |why: String| SourceError::Parquet { name: name.to_owned(), why };
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| unreadable(error.to_string()))?;
        let names: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
        let rows = builder.metadata().file_metadata().num_rows();
        if rows == 0 {
            return Err(SourceError::Empty { name: name.to_owned() });
        }
        let fields = header::fields(&names, &stream.options);
        header::check(name, &fields, stream, force)?;
        let (layout, ignored) = match stream.format {
            Format::Json | Format::Text => (ParquetLayout::Json(fields), vec![]),
            Format::Csv => {
                let place = |column: &str| fields.iter().position(|field| field == column);
                let places = stream.columns.fields().iter().map(|column| place(column.name())).collect();
                let ignored = fields.iter().filter(|field| !header::declares(stream, field)).cloned().collect();
                (ParquetLayout::Csv(places, stream.options.delimiter.unwrap_or(b',')), ignored)
            }
        };
        let batches = builder.with_batch_size(BATCH_ROWS).build().map_err(|error| unreadable(error.to_string()))?;
        let (name, rows) = (name.to_owned(), rows.unsigned_abs());
        Ok(Self { name, batches, layout, made: vec![].into_iter(), row: 0, rows, bytes, position, ignored })
    }

    pub(super) fn next(&mut self) -> Result<Option<Raw>, SourceError> {
        loop {
            if let Some(value) = self.made.next() {
                self.row += 1;
                let too_long = (value.len() > LONGEST_RECORD).then_some(value.len() as u64);
                let value = if too_long.is_some() { Vec::new() } else { value };
                return Ok(Some(Raw { value, line: self.row, too_long }));
            }
            let Some(batch) = self.batches.next() else { return Ok(None) };
            let values = batch.and_then(|batch| self.layout.values(&batch));
            let values = values.map_err(|error| SourceError::Parquet {
                name: self.name.clone(),
                why: format!("{error} (behind row {})", self.row),
            })?;
            let read = self.row + values.len() as u64;
            self.position.set((u128::from(self.bytes) * u128::from(read) / u128::from(self.rows.max(1))) as u64);
            self.made = values.into_iter();
        }
    }
}

impl ParquetLayout {
    fn values(&self, batch: &RecordBatch) -> Result<Vec<Vec<u8>>, ArrowError> {
        match self {
            Self::Json(names) => objects(names, batch),
            Self::Csv(places, delimiter) => lines(places, *delimiter, batch),
        }
    }
}

/// A JSON object for each row, without nulls.
fn objects(names: &[String], batch: &RecordBatch) -> Result<Vec<Vec<u8>>, ArrowError> {
    let columns: Vec<ArrayRef> = batch.columns().iter().map(writable).collect::<Result<_, _>>()?;
    let fields = names.iter().zip(&columns).map(|(name, column)| Field::new(name, column.data_type().clone(), true));
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(&RecordBatch::try_new(schema.into(), columns)?)?;
    writer.finish()?;
    // No text of JSON contains a line break.
    let text = writer.into_inner();
    let values: Vec<Vec<u8>> =
        text.split(|&byte| byte == b'\n').filter(|l| !l.is_empty()).map(<[u8]>::to_vec).collect();
    if values.len() != batch.num_rows() {
        return Err(ArrowError::JsonError(format!("{} rows became {} records", batch.num_rows(), values.len())));
    }
    Ok(values)
}

/// The column in a form that JSON can have: other numbers become text.
fn writable(column: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    if !is_finite(column) {
        return match column.data_type().is_nested() {
            true => {
                Err(ArrowError::JsonError("a NaN or an infinity inside a nested column cannot be written".to_owned()))
            }
            false => cast(column, &DataType::Utf8),
        };
    }
    Ok(ArrayRef::clone(column))
}

fn is_finite(column: &ArrayRef) -> bool {
    match column.data_type() {
        DataType::Float16 => cast(column, &DataType::Float32).is_ok_and(|column| is_finite(&column)),
        DataType::Float32 => column.as_primitive::<Float32Type>().iter().flatten().all(f32::is_finite),
        DataType::Float64 => column.as_primitive::<Float64Type>().iter().flatten().all(f64::is_finite),
        DataType::Struct(_) => column.as_struct().columns().iter().all(is_finite),
        DataType::List(_) => is_finite(column.as_list::<i32>().values()),
        DataType::LargeList(_) => is_finite(column.as_list::<i64>().values()),
        DataType::FixedSizeList(..) => is_finite(column.as_fixed_size_list().values()),
        DataType::Map(..) => column.as_map().entries().columns().iter().all(is_finite),
        _ => true,
    }
}

/// A line for each row.
fn lines(places: &[Option<usize>], delimiter: u8, batch: &RecordBatch) -> Result<Vec<Vec<u8>>, ArrowError> {
    let text = |place: &Option<usize>| place.map(|place| cast(batch.column(place), &DataType::Utf8)).transpose();
    let texts: Vec<Option<ArrayRef>> = places.iter().map(text).collect::<Result<_, _>>()?;
    let texts: Vec<Option<&StringArray>> = texts.iter().map(|text| text.as_ref().map(|t| t.as_string())).collect();
    let cell = |text: &Option<&'_ StringArray>, row: usize| {
        text.filter(|text| text.is_valid(row)).map(|text| text.value(row).to_owned())
    };
    let line = |row: usize| {
        let cells: Vec<Option<String>> = texts.iter().map(|text| cell(text, row)).collect();
        csv_line(cells.iter().map(Option::as_deref), delimiter)
    };
    Ok((0..batch.num_rows()).map(line).collect())
}
