//! Parameters that are arrays.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion_postgres::pgwire::api::Type;

use crate::error::{QueryError, Reason};

/// The type of the elements of an array type.
pub(in crate::postgres::bind) fn element(wire: &Type) -> Option<Type> {
    Some(match *wire {
        Type::BOOL_ARRAY => Type::BOOL,
        Type::INT2_ARRAY => Type::INT2,
        Type::INT4_ARRAY => Type::INT4,
        Type::INT8_ARRAY => Type::INT8,
        Type::OID_ARRAY => Type::OID,
        Type::FLOAT4_ARRAY => Type::FLOAT4,
        Type::FLOAT8_ARRAY => Type::FLOAT8,
        Type::NUMERIC_ARRAY => Type::NUMERIC,
        Type::BYTEA_ARRAY => Type::BYTEA,
        Type::DATE_ARRAY => Type::DATE,
        Type::TIME_ARRAY => Type::TIME,
        Type::TIMESTAMP_ARRAY => Type::TIMESTAMP,
        Type::TIMESTAMPTZ_ARRAY => Type::TIMESTAMPTZ,
        Type::INTERVAL_ARRAY => Type::INTERVAL,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY | Type::NAME_ARRAY => Type::TEXT,
        _ => return None,
    })
}

/// An array of one dimension.
pub(super) fn value(bytes: &[u8], element: &DataType) -> Result<ScalarValue, QueryError> {
    let mut rest = bytes;
    let dimensions = word(&mut rest)?;
    let (_has_nulls, _element) = (word(&mut rest)?, word(&mut rest)?);
    let length = match dimensions {
        0 => 0,
        1 => {
            let length = word(&mut rest)?;
            let _lower_bound = word(&mut rest)?;
            length
        }
        more => {
            let message = format!("an array of {more} dimensions cannot be a parameter");
            return Err(QueryError::new(Reason::Unsupported, message));
        }
    };
    let mut values = vec![];
    for _ in 0..length {
        values.push(match usize::try_from(word(&mut rest)?) {
            Err(_) => None,
            Ok(size) => {
                let (value, after) = rest.split_at_checked(size).ok_or_else(wrong)?;
                rest = after;
                Some(super::value(value, element)?)
            }
        });
    }
    if !rest.is_empty() {
        return Err(wrong());
    }
    // Decimals have as many digits as each is written with: the common type has room for all of them.
    let shared = values.iter().flatten().map(ScalarValue::data_type).reduce(wider).unwrap_or_else(|| element.clone());
    let same = |value: Option<ScalarValue>| match value {
        Some(value) => Ok(value.cast_to(&shared)?),
        None => Ok(ScalarValue::try_from(&shared)?),
    };
    let values = values.into_iter().map(same).collect::<Result<Vec<_>, QueryError>>()?;
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(&values, &shared)))
}

fn wider(a: DataType, b: DataType) -> DataType {
    let parts = |data_type: &DataType| match data_type {
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => Some((*precision, *scale)),
        _ => None,
    };
    let (Some((p, s)), Some((q, t))) = (parts(&a), parts(&b)) else { return a };
    let scale = s.max(t);
    let whole = (i16::from(p) - i16::from(s)).max(i16::from(q) - i16::from(t));
    let precision = u8::try_from(whole + i16::from(scale)).unwrap_or(u8::MAX).clamp(1, 76);
    match precision {
        0..=38 => DataType::Decimal128(precision, scale),
        _ => DataType::Decimal256(precision, scale),
    }
}

fn word(rest: &mut &[u8]) -> Result<i32, QueryError> {
    let (word, after) = rest.split_first_chunk::<4>().ok_or_else(wrong)?;
    *rest = after;
    Ok(i32::from_be_bytes(*word))
}

fn wrong() -> QueryError {
    QueryError::new(Reason::Data, "incorrect binary data format of an array")
}
