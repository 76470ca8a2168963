//! The types that a stream's columns can have, and their names.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use dovetail_core::pipeline::Format;
pub(super) use dovetail_core::pipeline::sql_type;

/// The reason why a column of this type cannot be decoded; `None` when it can.
pub(super) fn refusal(data_type: &DataType, format: Format) -> Option<String> {
    match data_type {
        DataType::Struct(_) | DataType::List(_) | DataType::LargeList(_) if format == Format::Csv => {
            Some(format!("a CSV field cannot hold a {}; declare it VARCHAR, or use JSON", sql_type(data_type)))
        }
        DataType::Struct(fields) => fields.iter().find_map(|field| refused_field(field, format)),
        DataType::List(field) | DataType::LargeList(field) => refused_field(field, format),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            Some("nanoseconds are not kept; declare it TIMESTAMP".to_owned())
        }
        DataType::Time64(TimeUnit::Nanosecond) => Some("nanoseconds are not kept; declare it TIME".to_owned()),
        scalar if is_scalar(scalar) => None,
        other => Some(format!("{other} is not supported; declare it VARCHAR")),
    }
}

fn refused_field(field: &Field, format: Format) -> Option<String> {
    if field.is_nullable() {
        refusal(field.data_type(), format)
    } else {
        Some(format!("`{}` inside it is NOT NULL, which only a whole column can be", field.name()))
    }
}

fn is_scalar(data_type: &DataType) -> bool {
    use DataType::*;
    data_type.is_integer()
        || matches!(data_type, Boolean | Float32 | Float64 | Decimal128(..) | Decimal256(..))
        || matches!(data_type, Utf8 | LargeUtf8 | Utf8View | Binary)
        || matches!(data_type, Date32 | Date64 | Time32(_) | Time64(_) | Timestamp(..))
}

/// The columns of the first step of JSON decoding: floats and booleans have their type, everything else is still text.
pub(super) fn raw_schema(columns: &Schema) -> SchemaRef {
    let fields: Fields = columns.fields().iter().map(raw_field).collect();
    Arc::new(Schema::new(fields))
}

fn raw_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(field.name(), raw_type(field.data_type()), true))
}

fn raw_type(data_type: &DataType) -> DataType {
    match data_type {
        // The fast decoder drops the fraction of an integer, and reads a number of a date as days.
        integer if integer.is_integer() => DataType::Utf8,
        DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_) => DataType::Utf8,
        DataType::Timestamp(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => DataType::Utf8,
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(raw_field).collect()),
        DataType::List(field) => DataType::List(raw_field(field)),
        DataType::LargeList(field) => DataType::LargeList(raw_field(field)),
        other => other.clone(),
    }
}

/// Whether the type contains a float.
pub(super) fn has_float(data_type: &DataType) -> bool {
    match data_type {
        DataType::Struct(fields) => fields.iter().any(|field| has_float(field.data_type())),
        DataType::List(field) | DataType::LargeList(field) => has_float(field.data_type()),
        other => other.is_floating(),
    }
}

/// The type with its article: `a BIGINT`, `an INT`.
pub(super) fn a_type(data_type: &DataType) -> String {
    let name = sql_type(data_type);
    let article = if name.starts_with(['A', 'E', 'I', 'O']) { "an" } else { "a" };
    format!("{article} {name}")
}
