//! Parquet objects: their format, and the types of their columns.
//!
//! Other engines read segments and states too, so a column in an object has a type that all of them know:
//!
//! | in memory | in Parquet |
//! |---|---|
//! | a timestamp of a zone | one adjusted to UTC; the zone is in the object's metadata, under [`ZONES`] |
//! | a timestamp that counts seconds, which Parquet does not know, or nanoseconds, which others refuse | microseconds |
//! | a timestamp that counts milliseconds or microseconds | the same |
//! | a time of the day | microseconds |
//! | all else | the same |
//!
//! No column in memory counts nanoseconds either, see [`in_microseconds`]; so the values read are those written.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::FormatOptions;
use parquet::file::metadata::KeyValue;

/// The format of Parquet objects that this program writes. It reads this one and those before it.
///
/// | format | objects |
/// |---|---|
/// | 1 | have no entry for their format; timestamps count nanoseconds and have their stream's zone |
/// | 2 | have one; the types are those above |
pub const FORMAT: u32 = 2;

/// The metadata's key of the format.
const KEY: &str = "dovetail.format";
/// The metadata's key of the zones of columns, where they are others than UTC: a JSON object of column names.
pub const ZONES: &str = "dovetail.zones";

/// The error for an object that a later version wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "it has format {found}, this program reads formats up to {FORMAT}: use the version that wrote it, or a newer one"
)]
pub struct NewerFormat {
    /// The format in the object's metadata.
    pub found: String,
}

/// The metadata of an object whose rows are of `schema` in memory.
pub fn about(schema: &Schema) -> Vec<KeyValue> {
    let mut about = vec![KeyValue::new(KEY.to_owned(), FORMAT.to_string())];
    let mut zones = BTreeMap::new();
    schema.fields().iter().for_each(|field| add_zones(field.name(), field.data_type(), &mut zones));
    if !zones.is_empty() {
        about.push(KeyValue::new(ZONES.to_owned(), serde_json::json!(zones).to_string()));
    }
    about
}

fn add_zones(path: &str, data_type: &DataType, zones: &mut BTreeMap<String, String>) {
    match data_type {
        DataType::Timestamp(_, Some(zone)) if zone.as_ref() != "UTC" => {
            zones.insert(path.to_owned(), zone.to_string());
        }
        DataType::Struct(fields) => {
            fields.iter().for_each(|field| add_zones(&format!("{path}.{}", field.name()), field.data_type(), zones));
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            add_zones(path, item.data_type(), zones);
        }
        _ => {}
    }
}

/// Checks that this program reads the object with these entries of metadata. Without an entry it is of format 1.
///
/// # Errors
/// When the object is of a later format.
pub fn check_format(pairs: Option<&Vec<KeyValue>>) -> Result<(), NewerFormat> {
    let said = pairs.into_iter().flatten().find(|pair| pair.key == KEY);
    let Some(said) = said else { return Ok(()) };
    let found = said.value.clone().unwrap_or_default();
    match found.parse::<u32>() {
        Ok(format) if format <= FORMAT => Ok(()),
        _ => Err(NewerFormat { found }),
    }
}

/// The types that the columns of `schema` have in Parquet.
pub fn schema(schema: &Schema) -> SchemaRef {
    let field = |field: &FieldRef| with_type(field, &stored_type);
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

fn stored_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Timestamp(unit, zone) => {
            let unit = if *unit == TimeUnit::Millisecond { TimeUnit::Millisecond } else { TimeUnit::Microsecond };
            DataType::Timestamp(unit, zone.as_ref().map(|_| "UTC".into()))
        }
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        other => other.clone(),
    }
}

/// The type in memory: nanoseconds become microseconds, as in PostgreSQL. Finer values are rounded as
/// [`crate::texts::micros`] does.
pub fn in_microseconds(data_type: &DataType) -> DataType {
    let held = |data_type: &DataType| match data_type {
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Time64(TimeUnit::Nanosecond) => DataType::Time64(TimeUnit::Microsecond),
        other => other.clone(),
    };
    mapped(data_type, &held)
}

/// `data_type` with all of its inner types changed by `change`.
fn mapped(data_type: &DataType, change: &impl Fn(&DataType) -> DataType) -> DataType {
    let inner = |field: &FieldRef| with_type(field, change);
    match data_type {
        DataType::List(item) => DataType::List(inner(item)),
        DataType::LargeList(item) => DataType::LargeList(inner(item)),
        DataType::FixedSizeList(item, n) => DataType::FixedSizeList(inner(item), *n),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(inner).collect()),
        DataType::Map(entries, sorted) => DataType::Map(inner(entries), *sorted),
        other => change(other),
    }
}

fn with_type(field: &FieldRef, change: &impl Fn(&DataType) -> DataType) -> FieldRef {
    Arc::new(Field::clone(field).with_data_type(mapped(field.data_type(), change)))
}

/// The columns of `batch`, in their order, cast to those of `schema`: in either direction between memory and Parquet.
///
/// # Errors
/// When a value does not fit: microseconds reach some 292,000 years.
pub fn fitted(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let options = CastOptions { safe: false, format_options: FormatOptions::new() };
    let columns = batch.columns().iter().zip(schema.fields()).map(|(column, field)| {
        match column.data_type() == field.data_type() {
            true => Ok(Arc::clone(column)),
            false => cast_with_options(column, field.data_type(), &options),
        }
    });
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns.collect::<Result<_, _>>()?, &rows)
}

#[cfg(test)]
mod tests {
    use arrow::array::{TimestampMicrosecondArray, TimestampSecondArray};

    use super::*;

    fn time(unit: TimeUnit, zone: Option<&str>) -> DataType {
        DataType::Timestamp(unit, zone.map(Into::into))
    }

    #[test]
    fn columns_have_types_that_others_read() {
        use TimeUnit::{Microsecond as US, Millisecond as MS, Nanosecond as NS, Second as S};
        for (held, stored) in [
            (time(NS, None), time(US, None)),
            (time(S, Some("Asia/Tokyo")), time(US, Some("UTC"))),
            (time(US, Some("Asia/Tokyo")), time(US, Some("UTC"))),
            (time(MS, Some("UTC")), time(MS, Some("UTC"))),
            (DataType::Time64(NS), DataType::Time64(US)),
            (DataType::Time32(S), DataType::Time64(US)),
            (DataType::Utf8, DataType::Utf8),
            (DataType::new_list(time(NS, Some("+02:00")), true), DataType::new_list(time(US, Some("UTC")), true)),
        ] {
            let held = Schema::new(vec![Field::new("x", held, true)]);
            assert_eq!(schema(&held).field(0).data_type(), &stored);
        }
    }

    #[test]
    fn a_batch_comes_back_as_it_was() {
        let held = Arc::new(Schema::new(vec![
            Field::new("s", time(TimeUnit::Second, None), true),
            Field::new("z", time(TimeUnit::Microsecond, Some("America/New_York")), true),
        ]));
        let seconds = TimestampSecondArray::from(vec![Some(-62_135_596_800), None]);
        let zoned = TimestampMicrosecondArray::from(vec![Some(i64::MAX), Some(-1)]).with_timezone("America/New_York");
        let batch = RecordBatch::try_new(Arc::clone(&held), vec![Arc::new(seconds), Arc::new(zoned)]).unwrap();
        let stored = fitted(&batch, &schema(&held)).unwrap();
        assert_eq!(stored.schema().field(1).data_type(), &time(TimeUnit::Microsecond, Some("UTC")));
        assert_eq!(fitted(&stored, &held).unwrap(), batch);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let held = Arc::new(Schema::new(vec![Field::new("s", time(TimeUnit::Second, None), true)]));
        let seconds = TimestampSecondArray::from(vec![i64::MAX]);
        let batch = RecordBatch::try_new(Arc::clone(&held), vec![Arc::new(seconds)]).unwrap();
        assert!(fitted(&batch, &schema(&held)).is_err());
    }

    #[test]
    fn objects_name_their_format_and_zones() {
        let fields = vec![
            Field::new("at", time(TimeUnit::Microsecond, Some("Asia/Tokyo")), true),
            Field::new("utc", time(TimeUnit::Microsecond, Some("UTC")), true),
        ];
        let nested = Field::new("s", DataType::Struct(fields.clone().into()), true);
        let about = about(&Schema::new([fields, vec![nested]].concat()));
        let said: Vec<_> = about.iter().map(|pair| (pair.key.as_str(), pair.value.as_deref())).collect();
        let zones = r#"{"at":"Asia/Tokyo","s.at":"Asia/Tokyo"}"#;
        assert_eq!(said, [(KEY, Some("2")), (ZONES, Some(zones))]);
        assert_eq!(check_format(Some(&about)), Ok(()));
    }

    #[test]
    fn a_later_format_is_refused_and_an_earlier_one_read() {
        let of = |value: Option<&str>| vec![KeyValue::new(KEY.to_owned(), value.map(str::to_owned))];
        assert_eq!((check_format(None), check_format(Some(&vec![]))), (Ok(()), Ok(())));
        assert_eq!(check_format(Some(&of(Some("1")))), Ok(()));
        for later in [Some("3"), Some("x"), None] {
            let error = check_format(Some(&of(later))).unwrap_err().to_string();
            assert!(error.contains("reads formats up to 2: use the version that wrote it, or a newer one"), "{error}");
        }
    }
}
