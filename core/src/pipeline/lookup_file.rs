//! A lookup's file, read whole and bounded.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::kernels::cast_utils::string_to_datetime;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::Format;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::FormatOptions;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::fingerprint::Fingerprint;
use super::suggest::did_you_mean;
use super::types::lower_first;
use super::{Lookup, LookupFormat};
use crate::stored::in_microseconds;
use crate::texts;

/// Greatest size of a lookup in memory, in bytes.
pub(super) const MAX_LOOKUP_BYTES: u64 = 256 << 20;

/// Casts fail on a value that does not fit.
const STRICT: CastOptions<'static> = CastOptions { safe: false, format_options: FormatOptions::new() };

/// The reason why a lookup's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookupError {
    #[error("file `{path}` cannot be read: {why}")]
    Unreadable { path: PathBuf, why: String },
    #[error("file `{path}` is no {format} file with the declared columns: {why}")]
    Malformed { path: PathBuf, format: &'static str, why: String },
    #[error("file `{path}` has no column `{column}`")]
    NoColumn { path: PathBuf, column: String, has: Vec<String> },
    #[error("file `{path}` changed after the pipeline was parsed")]
    Changed { path: PathBuf },
    #[error("file `{path}` takes more than {limit} bytes in memory")]
    TooLarge { path: PathBuf, limit: u64 },
}

impl LookupError {
    /// The remedy, if one is known.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } => {
                Some("a lookup's path is relative to the folder of the pipeline's file".to_owned())
            }
            Self::Malformed { .. } => None,
            Self::Changed { .. } => Some("load the pipeline again".to_owned()),
            Self::NoColumn { column, has, .. } => {
                let has: Vec<&str> = has.iter().map(String::as_str).collect();
                Some(did_you_mean(column, &has, "columns"))
            }
            Self::TooLarge { .. } => {
                Some("a lookup is held in memory: keep only the columns and rows you need".to_owned())
            }
        }
    }
}

/// A lookup's rows, and the hash of the bytes they come from.
#[derive(Debug)]
pub(super) struct LookupTable {
    pub(super) schema: SchemaRef,
    pub(super) batches: Vec<RecordBatch>,
    pub(super) content: String,
}

impl Lookup {
    /// Changes when the lookup's file or the way it is read changes; hexadecimal.
    pub fn fingerprint(&self) -> String {
        let mut hash = Fingerprint::new("lookup");
        hash.text(&self.name).text(&format!("{:?}", self.format)).text(&self.content);
        hash.bytes(&[u8::from(self.has_header), self.delimiter]);
        if let Some(columns) = &self.columns {
            hash.schema(columns);
        }
        hash.finish()
    }
}

/// Reads the whole table. Its schema is that of the declared columns, or else the file's.
pub(super) fn read(lookup: &Lookup, limit: u64) -> Result<LookupTable, LookupError> {
    let bytes = read_bytes(lookup, limit)?;
    let content = blake3::hash(&bytes).to_hex().to_string();
    let read = match lookup.format {
        LookupFormat::Csv => read_csv(lookup, &bytes, limit),
        LookupFormat::Parquet => read_parquet(lookup, bytes, limit),
    };
    read.map(|(schema, batches)| LookupTable { schema, batches, content })
}

fn read_bytes(lookup: &Lookup, limit: u64) -> Result<Bytes, LookupError> {
    let unreadable = |why: String| LookupError::Unreadable { path: lookup.path.clone(), why: lower_first(&why) };
    let file = File::open(&lookup.path).map_err(|error| unreadable(error.to_string()))?;
    let mut bytes = Vec::new();
    // One byte more than allowed, so that a file that grows while it is read is noticed as well.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > limit {
        return Err(LookupError::TooLarge { path: lookup.path.clone(), limit });
    }
    if bytes.is_empty() {
        return Err(unreadable("it is empty".to_owned()));
    }
    Ok(bytes.into())
}

fn malformed(lookup: &Lookup, why: &ArrowError) -> LookupError {
    let why = match why {
        ArrowError::CsvError(why) | ArrowError::ParseError(why) | ArrowError::ParquetError(why) => why.clone(),
        ArrowError::InvalidArgumentError(why) | ArrowError::CastError(why) => why.clone(),
        other => other.to_string(),
    };
    let why = why.strip_prefix("Parquet error: ").unwrap_or(&why);
    let format = match lookup.format {
        LookupFormat::Csv => "CSV",
        LookupFormat::Parquet => "Parquet",
    };
    LookupError::Malformed { path: lookup.path.clone(), format, why: lower_first(why) }
}

fn collect(
    lookup: &Lookup,
    batches: impl Iterator<Item = Result<RecordBatch, ArrowError>>,
    limit: u64,
) -> Result<Vec<RecordBatch>, LookupError> {
    let (mut all, mut bytes) = (Vec::new(), 0);
    for batch in batches {
        let batch = batch.map_err(|error| malformed(lookup, &error))?;
        bytes += batch.get_array_memory_size() as u64;
        if bytes > limit {
            return Err(LookupError::TooLarge { path: lookup.path.clone(), limit });
        }
        all.push(batch);
    }
    Ok(all)
}

type LookupRows = (SchemaRef, Vec<RecordBatch>);

fn read_csv(lookup: &Lookup, bytes: &[u8], limit: u64) -> Result<LookupRows, LookupError> {
    let format = Format::default().with_header(lookup.has_header).with_delimiter(lookup.delimiter);
    let sample = if lookup.columns.is_some() { Some(0) } else { None };
    let found = format.infer_schema(Cursor::new(bytes), sample).map_err(|error| malformed(lookup, &error))?.0;
    let (physical, projection) = match &lookup.columns {
        None => (inferred(&found), None),
        Some(declared) if lookup.has_header => by_header(lookup, declared, &found)?,
        Some(declared) => (Schema::clone(declared), None),
    };
    let physical = as_text(physical, lookup.columns.is_some());
    let schema = lookup.columns.clone().unwrap_or_else(|| Arc::clone(&physical));
    let mut builder = ReaderBuilder::new(physical).with_format(format);
    if let Some(projection) = projection {
        builder = builder.with_projection(projection);
    }
    let reader = builder.build_buffered(Cursor::new(bytes)).map_err(|error| malformed(lookup, &error))?;
    let mut first = 1;
    let batches = reader.map(|batch| {
        let batch = batch?;
        let read = read_texts(&batch, &schema, first);
        first += batch.num_rows();
        read
    });
    let batches = collect(lookup, batches, limit)?;
    Ok((schema, batches))
}

/// The file's schema with text in place of timestamps, and of those declared columns whose texts are read as a stream's
/// are.
fn as_text(physical: Schema, declared: bool) -> SchemaRef {
    let text = |field: &Arc<Field>| {
        let is_read = declared && texts::column(&StringArray::new_null(0), field.data_type(), &mut vec![]).is_some();
        match is_read || matches!(field.data_type(), DataType::Timestamp(..)) {
            true => field.as_ref().clone().with_data_type(DataType::Utf8).with_nullable(true),
            false => field.as_ref().clone(),
        }
    };
    Arc::new(Schema::new(physical.fields().iter().map(text).collect::<Vec<_>>()))
}

/// Reads the text columns as the columns of `schema`. `first` is the number of the first row.
fn read_texts(batch: &RecordBatch, schema: &SchemaRef, first: usize) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| match column.data_type() == field.data_type() {
        true => Ok(Arc::clone(column)),
        false => read_text(column, field, first),
    });
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns.collect::<Result<_, _>>()?, &rows)
}

/// Reads a column of text as its declared type; a text that is no value of it is an error, never a null.
fn read_text(column: &ArrayRef, field: &Field, first: usize) -> Result<ArrayRef, ArrowError> {
    let (found, mut bad) = (column.as_string::<i32>(), vec![]);
    let read = match field.data_type() {
        DataType::Timestamp(unit, _) => Some(instants(found, *unit, field.data_type(), &mut bad)?),
        data_type => texts::column(found, data_type, &mut bad),
    };
    let unreadable = |row: usize| {
        let (name, row, text) = (field.name(), first + row, found.value(row));
        ArrowError::ParseError(format!("column `{name}`, row {row}: {text:?} cannot be read as {}", field.data_type()))
    };
    match (bad.first(), read) {
        (Some(row), _) => Err(unreadable(*row)),
        (None, Some(read)) => Ok(read),
        (None, None) => cast_with_options(column, field.data_type(), &STRICT),
    }
}

/// Reads ISO 8601 as `arrow` does, in UTC without a zone, rounded by the common rule; a text that is none is null and
/// added to `bad`.
fn instants(
    found: &StringArray,
    unit: TimeUnit,
    data_type: &DataType,
    bad: &mut Vec<usize>,
) -> Result<ArrayRef, ArrowError> {
    let read = |text: &str| {
        let at: DateTime<Utc> = string_to_datetime(&Utc, text.trim_ascii()).ok()?;
        texts::in_unit(at.timestamp(), texts::micros_of_nanos(at.timestamp_subsec_nanos().min(999_999_999)), unit)
    };
    let each = found.iter().enumerate().map(|(row, text)| {
        let text = text?;
        let instant = read(text);
        if instant.is_none() {
            bad.push(row);
        }
        instant
    });
    let instants: Int64Array = each.collect();
    cast_with_options(&instants, data_type, &STRICT)
}

/// The schema with text in place of columns without any value, and with times in microseconds.
fn inferred(found: &Schema) -> Schema {
    let text = |field: &Arc<Field>| match field.data_type() {
        DataType::Null => field.as_ref().clone().with_data_type(DataType::Utf8),
        other => field.as_ref().clone().with_data_type(in_microseconds(other)),
    };
    Schema::new(found.fields().iter().map(text).collect::<Vec<_>>())
}

/// Finds the declared columns in the file: by name when the header knows any of them, else by position.
fn by_header(lookup: &Lookup, declared: &Schema, found: &Schema) -> Result<(Schema, Option<Vec<usize>>), LookupError> {
    let names: Vec<String> = found.fields().iter().map(|field| field.name().replace('\u{feff}', "")).collect();
    let place = |wanted: &str| {
        let exact = names.iter().position(|name| name == wanted);
        exact.or_else(|| names.iter().position(|name| name.trim().eq_ignore_ascii_case(wanted)))
    };
    let places: Vec<Option<usize>> = declared.fields().iter().map(|field| place(field.name())).collect();
    if places.iter().all(Option::is_none) && names.len() == declared.fields().len() {
        return Ok((declared.clone(), None));
    }
    let mut physical: Vec<Field> = names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
    let mut projection = Vec::with_capacity(places.len());
    for (field, place) in declared.fields().iter().zip(places) {
        let Some(place) = place else {
            return Err(LookupError::NoColumn { path: lookup.path.clone(), column: field.name().clone(), has: names });
        };
        physical[place] = field.as_ref().clone();
        projection.push(place);
    }
    Ok((Schema::new(physical), Some(projection)))
}

fn read_parquet(lookup: &Lookup, bytes: Bytes, limit: u64) -> Result<LookupRows, LookupError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| malformed(lookup, &error.into()))?;
    let found = Arc::clone(builder.schema());
    let reader = builder.build().map_err(|error| malformed(lookup, &error.into()))?;
    let Some(declared) = &lookup.columns else {
        let held = Arc::new(inferred(&found));
        let places: Vec<usize> = (0..found.fields().len()).collect();
        let batches = reader.map(|batch| cast(&batch?, &places, &held));
        return Ok((Arc::clone(&held), collect(lookup, batches, limit)?));
    };
    let mut places = Vec::with_capacity(declared.fields().len());
    for field in declared.fields() {
        let has = || found.fields().iter().map(|field| field.name().clone()).collect();
        let missing = |_| LookupError::NoColumn { path: lookup.path.clone(), column: field.name().clone(), has: has() };
        places.push(found.index_of(field.name()).map_err(missing)?);
    }
    let batches = reader.map(|batch| cast(&batch?, &places, declared));
    Ok((Arc::clone(declared), collect(lookup, batches, limit)?))
}

/// Casts the columns at `places` to the declared types; a value that does not fit is an error, never a null.
fn cast(batch: &RecordBatch, places: &[usize], declared: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = places.iter().zip(declared.fields()).map(|(place, field)| {
        let (column, to) = (batch.column(*place), field.data_type());
        let (from, is_fraction) = (column.data_type(), |t: &DataType| t.is_floating() || t.is_decimal());
        if from != to && is_fraction(from) && to.is_numeric() {
            // A cast drops fractions, so the number is read from its text, as a stream's number is.
            return read_text(&cast_with_options(column, &DataType::Utf8, &STRICT)?, field, 1);
        }
        match (from, to) {
            (DataType::Timestamp(..), DataType::Timestamp(unit, _)) => {
                cast_with_options(&texts::timestamps_in(column, *unit)?, to, &STRICT)
            }
            _ => cast_with_options(column, to, &STRICT),
        }
    });
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(declared), columns.collect::<Result<_, _>>()?, &rows)
}
