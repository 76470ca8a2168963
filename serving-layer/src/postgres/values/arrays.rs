//! Arrays and structs: values within values.

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::DataType;
use bytes::BytesMut;
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};

use super::binary::binary;
use super::text::text;
use super::types::{of_value, wire_type};
use super::{Style, sized};
use crate::postgres::wire_error::session_error;

/// `{1,NULL,"a b"}`.
pub(super) fn list_text(elements: &ArrayRef, style: Style, out: &mut BytesMut) -> PgWireResult<()> {
    let nested = matches!(elements.data_type(), DataType::List(_));
    out.extend_from_slice(b"{");
    for i in 0..elements.len() {
        if i > 0 {
            out.extend_from_slice(b",");
        }
        let mut element = BytesMut::new();
        match text(elements.as_ref(), i, style, &mut element)? {
            false => out.extend_from_slice(b"NULL"),
            true if nested || !needs_quotes(&element) => out.extend_from_slice(&element),
            true => quoted(&element, b'\\', out),
        }
    }
    out.extend_from_slice(b"}");
    Ok(())
}

fn needs_quotes(element: &[u8]) -> bool {
    let special = |byte: &u8| matches!(byte, b'{' | b'}' | b',' | b'"' | b'\\' | b' ' | b'\t'..=b'\r');
    element.is_empty() || element.eq_ignore_ascii_case(b"null") || element.iter().any(special)
}

/// Writes `(1,,"a b")`: a null field is empty.
pub(super) fn struct_text(value: &StructArray, row: usize, style: Style, out: &mut BytesMut) -> PgWireResult<()> {
    out.extend_from_slice(b"(");
    for (i, column) in value.columns().iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(b",");
        }
        let mut field = BytesMut::new();
        if text(column.as_ref(), row, style, &mut field)? {
            let special = |byte: &u8| matches!(byte, b'(' | b')' | b',' | b'"' | b'\\' | b' ' | b'\t'..=b'\r');
            match field.is_empty() || field.iter().any(special) {
                true => quoted(&field, b'"', out),
                false => out.extend_from_slice(&field),
            }
        }
    }
    out.extend_from_slice(b")");
    Ok(())
}

/// Writes a value in quotes, with `escape` in front of a quote; a backslash is always doubled.
fn quoted(value: &[u8], escape: u8, out: &mut BytesMut) {
    out.extend_from_slice(b"\"");
    for byte in value {
        match byte {
            b'"' => out.extend_from_slice(&[escape]),
            b'\\' => out.extend_from_slice(b"\\"),
            _ => {}
        }
        out.extend_from_slice(&[*byte]);
    }
    out.extend_from_slice(b"\"");
}

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
