//! The types of columns on the wire.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, IntervalUnit, Schema, TimeUnit};
use datafusion_postgres::arrow_pg::datatypes::{PG_OID_ALIAS_KEY, is_pg_char_field, pg_type_for_alias_kind};
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::FieldInfo;
use datafusion_postgres::pgwire::error::PgWireResult;

use super::unsupported;
use crate::postgres::wire_error::session_error;

/// The canonical type of `data_type`: the one of all types with the same type on the wire.
pub(in crate::postgres) fn canonical(data_type: &DataType) -> PgWireResult<DataType> {
    Ok(match data_type {
        DataType::Int8 | DataType::Int16 | DataType::UInt8 => DataType::Int16,
        DataType::Int32 | DataType::UInt16 => DataType::Int32,
        DataType::Int64 | DataType::UInt32 => DataType::Int64,
        DataType::UInt64 => DataType::Decimal128(20, 0),
        DataType::Float16 | DataType::Float32 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Date32 | DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Duration(_) => DataType::Duration(TimeUnit::Microsecond),
        DataType::Interval(_) => DataType::Interval(IntervalUnit::MonthDayNano),
        DataType::Dictionary(_, value) => canonical(value)?,
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::ListView(item)
        | DataType::LargeListView(item) => DataType::List(Arc::new(brought(item)?)),
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| brought(field).map(Arc::new));
            DataType::Struct(fields.collect::<PgWireResult<_>>()?)
        }
        DataType::Null
        | DataType::Boolean
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Decimal256(..) => data_type.clone(),
        other => return Err(unsupported(other)),
    })
}

fn brought(field: &Field) -> PgWireResult<Field> {
    Ok(field.clone().with_data_type(canonical(field.data_type())?))
}

/// The wire type of a column.
pub(in crate::postgres) fn wire_type(field: &Field) -> PgWireResult<Type> {
    let alias = field.metadata().get(PG_OID_ALIAS_KEY).and_then(|kind| pg_type_for_alias_kind(kind));
    match alias {
        Some(alias) => Ok(alias),
        None if is_pg_char_field(field) => Ok(Type::CHAR),
        None => of_value(&canonical(field.data_type())?),
    }
}

/// The wire type of a canonical type's values.
pub(super) fn of_value(data_type: &DataType) -> PgWireResult<Type> {
    Ok(match data_type {
        DataType::Boolean => Type::BOOL,
        DataType::Int16 => Type::INT2,
        DataType::Int32 => Type::INT4,
        DataType::Int64 => Type::INT8,
        DataType::Float32 => Type::FLOAT4,
        DataType::Float64 => Type::FLOAT8,
        DataType::Decimal128(..) | DataType::Decimal256(..) => Type::NUMERIC,
        // PostgreSQL describes a NULL of unknown type as text.
        DataType::Utf8 | DataType::Null => Type::TEXT,
        DataType::Binary => Type::BYTEA,
        DataType::Date32 => Type::DATE,
        DataType::Time64(_) => Type::TIME,
        DataType::Timestamp(_, None) => Type::TIMESTAMP,
        DataType::Timestamp(_, Some(_)) => Type::TIMESTAMPTZ,
        DataType::Duration(_) | DataType::Interval(_) => Type::INTERVAL,
        DataType::Struct(_) => Type::RECORD,
        // An array of arrays is one array of more dimensions.
        DataType::List(item) => match item.data_type() {
            DataType::List(_) => of_value(item.data_type())?,
            element => array_of(&of_value(element)?),
        },
        other => return Err(unsupported(other)),
    })
}

fn array_of(element: &Type) -> Type {
    match *element {
        Type::BOOL => Type::BOOL_ARRAY,
        Type::INT2 => Type::INT2_ARRAY,
        Type::INT4 => Type::INT4_ARRAY,
        Type::INT8 => Type::INT8_ARRAY,
        Type::FLOAT4 => Type::FLOAT4_ARRAY,
        Type::FLOAT8 => Type::FLOAT8_ARRAY,
        Type::NUMERIC => Type::NUMERIC_ARRAY,
        Type::BYTEA => Type::BYTEA_ARRAY,
        Type::DATE => Type::DATE_ARRAY,
        Type::TIME => Type::TIME_ARRAY,
        Type::TIMESTAMP => Type::TIMESTAMP_ARRAY,
        Type::TIMESTAMPTZ => Type::TIMESTAMPTZ_ARRAY,
        Type::INTERVAL => Type::INTERVAL_ARRAY,
        Type::RECORD => Type::RECORD_ARRAY,
        _ => Type::TEXT_ARRAY,
    }
}

/// Whether values of both types are the same bytes in both formats.
pub(in crate::postgres) fn same_on_the_wire(a: &DataType, b: &DataType) -> bool {
    let wire = |data_type: &DataType| canonical(data_type).and_then(|canonical| of_value(&canonical)).ok();
    a == b || wire(a).is_some_and(|a| wire(b) == Some(a))
}

/// The description of an answer's columns.
pub(in crate::postgres) fn fields(schema: &Schema, format: &Format) -> PgWireResult<Vec<FieldInfo>> {
    if let Format::Individual(formats) = format
        && formats.len() != schema.fields().len()
    {
        let message = format!("{} formats were asked for {} columns", formats.len(), schema.fields().len());
        return Err(session_error("08P01", message));
    }
    let field = |(i, field): (usize, &Arc<Field>)| {
        let wire = wire_type(field)?;
        let size = size(&wire);
        let info = FieldInfo::new(field.name().clone(), None, None, wire, format.format_for(i));
        Ok(info.with_type_size(size).with_type_modifier(modifier(field.data_type())))
    };
    schema.fields().iter().enumerate().map(field).collect()
}

/// Bytes of values of a type, -1 when they vary.
fn size(wire: &Type) -> i16 {
    match *wire {
        Type::BOOL | Type::CHAR => 1,
        Type::INT2 => 2,
        Type::INT4 | Type::FLOAT4 | Type::DATE | Type::OID => 4,
        Type::INT8 | Type::FLOAT8 | Type::TIME | Type::TIMESTAMP | Type::TIMESTAMPTZ => 8,
        Type::INTERVAL => 16,
        _ => -1,
    }
}

/// Precision and scale of a decimal in the form of `atttypmod`; -1 for all other types.
fn modifier(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale)
            if *scale >= 0 =>
        {
            ((i32::from(*precision) << 16) | i32::from(*scale)) + 4
        }
        _ => -1,
    }
}
