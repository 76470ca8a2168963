//! Arrays and records in PostgreSQL's binary form.

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::DataType;
use bytes::BytesMut;
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};

use super::binary;
use crate::postgres::values::sized;
use crate::postgres::values::types::{of_value, wire_type};
use crate::postgres::wire_error::session_error;

/// Writes the dimensions, the type of the elements, then each element with its length.
pub(super) fn list_binary(elements: &ArrayRef, out: &mut BytesMut) -> PgWireResult<()> {
    let dimensions = dimensions(elements)?;
    let mut innermost = elements.data_type();
    while let DataType::List(item) = innermost {
        innermost = item.data_type();
    }
    let mut values = BytesMut::new();
    let has_nulls = values_binary(elements, &mut values)?;
    let dimensions = if dimensions.contains(&0) { vec![] } else { dimensions };
    put_i32(dimensions.len() as i32, out);
    put_i32(i32::from(has_nulls), out);
    out.extend_from_slice(&of_value(innermost)?.oid().to_be_bytes());
    for length in dimensions {
        put_i32(length, out);
        put_i32(1, out);
    }
    out.extend_from_slice(&values);
    Ok(())
}

fn put_i32(number: i32, out: &mut BytesMut) {
    out.extend_from_slice(&number.to_be_bytes());
}

/// Writes the elements in order, at any depth; returns whether one is null.
fn values_binary(elements: &ArrayRef, out: &mut BytesMut) -> PgWireResult<bool> {
    let mut has_nulls = false;
    for i in 0..elements.len() {
        match elements.data_type() {
            DataType::List(_) => has_nulls |= values_binary(&elements.as_list::<i32>().value(i), out)?,
            _ => {
                sized(out, |out| binary(elements.as_ref(), i, out))?;
                has_nulls |= elements.is_null(i) || *elements.data_type() == DataType::Null;
            }
        }
    }
    Ok(has_nulls)
}

/// The length of an array, and of each array in it, all of which must be equal.
fn dimensions(elements: &ArrayRef) -> PgWireResult<Vec<i32>> {
    let length = i32::try_from(elements.len()).map_err(|_| ragged())?;
    let DataType::List(_) = elements.data_type() else { return Ok(vec![length]) };
    let mut inner: Option<Vec<i32>> = None;
    for i in 0..elements.len() {
        if elements.is_null(i) {
            return Err(ragged());
        }
        let found = dimensions(&elements.as_list::<i32>().value(i))?;
        match &inner {
            Some(inner) if *inner != found => return Err(ragged()),
            _ => inner = Some(found),
        }
    }
    Ok([vec![length], inner.unwrap_or_else(|| vec![0])].concat())
}

fn ragged() -> PgWireError {
    let message = "an array of arrays of unequal lengths has no binary form: ask for text, or cast it to VARCHAR";
    session_error("2202E", message)
}

/// Writes the number of fields, then the type, length and value of each.
pub(super) fn struct_binary(value: &StructArray, row: usize, out: &mut BytesMut) -> PgWireResult<()> {
    put_i32(value.num_columns() as i32, out);
    for (field, column) in value.fields().iter().zip(value.columns()) {
        out.extend_from_slice(&wire_type(field)?.oid().to_be_bytes());
        sized(out, |out| binary(column.as_ref(), row, out))?;
    }
    Ok(())
}
