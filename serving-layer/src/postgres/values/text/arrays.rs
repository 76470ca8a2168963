//! Arrays and records as PostgreSQL writes them in text.

use arrow::array::{Array, ArrayRef, StructArray};
use arrow::datatypes::DataType;
use bytes::BytesMut;
use datafusion_postgres::pgwire::error::PgWireResult;

use super::text;
use crate::postgres::values::Style;

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
