//! CSV values as columns of text. A value is one line (RFC 4180), its fields in the declared order.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;

use dovetail_core::pipeline::StreamOptions;

use super::json::{filled, utf8};
use super::{DeadRow, Parsed};
use crate::formats::reason::Why;

/// Decodes the CSV values of one stream.
#[derive(Debug)]
pub(super) struct Csv {
    raw: SchemaRef,
    delimiter: char,
    null_texts: Vec<String>,
}

impl Csv {
    pub(super) fn new(columns: &Schema, options: &StreamOptions) -> Self {
        let fields: Vec<Field> =
            columns.fields().iter().map(|field| Field::new(field.name(), DataType::Utf8, true)).collect();
        let null_texts = options.null_texts.clone();
        Self { raw: Arc::new(Schema::new(fields)), delimiter: delimiter(options), null_texts }
    }

    /// Text columns of the values with as many fields as the stream has columns, and the reasons why the others are
    /// dead.
    pub(super) fn parse(&self, values: &BinaryArray) -> Result<Parsed, ArrowError> {
        let mut columns: Vec<StringBuilder> =
            self.raw.fields().iter().map(|_| StringBuilder::with_capacity(values.len(), 16 * values.len())).collect();
        let mut dead = Vec::new();
        for row in 0..values.len() {
            let value = values.is_valid(row).then(|| values.value(row));
            match self.fields(value) {
                Ok(fields) => {
                    for (column, field) in columns.iter_mut().zip(fields) {
                        column.append_option(self.non_null(&field));
                    }
                }
                Err(why) => dead.push(DeadRow { row, why }),
            }
        }
        let columns = columns.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(values.len() - dead.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.raw), columns, &options)?;
        Ok(Parsed { batch, dead })
    }

    fn fields<'a>(&self, value: Option<&'a [u8]>) -> Result<Vec<Cow<'a, str>>, Why> {
        let Some(value) = value else {
            return Err("the record has no value".into());
        };
        let expected = self.raw.fields().len();
        // With one column an empty value is a null; with several it is no line at all.
        let line = match expected {
            1 => utf8(value)?,
            _ => filled(value)?,
        };
        let fields = split(line, expected, self.delimiter)?;
        let found = fields.len();
        if found == expected {
            Ok(fields)
        } else {
            Err(Why::new(format!("the line has {found} fields, the stream {expected} columns")))
        }
    }

    fn non_null<'a>(&self, field: &'a str) -> Option<&'a str> {
        (!field.is_empty() && !self.null_texts.iter().any(|null| null == field)).then_some(field)
    }
}

/// The delimiter between the fields of a record.
pub(crate) fn delimiter(options: &StreamOptions) -> char {
    options.delimiter.unwrap_or(b',').into()
}

/// The fields of a line. Quotes count only where a field begins with one.
pub fn split(line: &str, expected: usize, delimiter: char) -> Result<Vec<Cow<'_, str>>, &'static str> {
    let line = line.strip_suffix('\n').unwrap_or(line);
    let mut rest = line.strip_suffix('\r').unwrap_or(line);
    let mut fields = Vec::with_capacity(expected);
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => unquote(quoted, delimiter)?,
            None => bare(rest, delimiter)?,
        };
        fields.push(field);
        match after {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

/// A field and the text behind its delimiter; `None` after the last one.
type SplitField<'a> = (Cow<'a, str>, Option<&'a str>);

fn bare(rest: &str, delimiter: char) -> Result<SplitField<'_>, &'static str> {
    let (field, after) = match rest.split_once(delimiter) {
        Some((field, after)) => (field, Some(after)),
        None => (rest, None),
    };
    if field.contains(['\n', '\r']) {
        return Err("the value has more than one line; put quotes around fields that hold a line break");
    }
    Ok((Cow::Borrowed(field), after))
}

/// The error of a field without a closing quote.
pub const QUOTES_DO_NOT_CLOSE: &str = "a field's quotes do not close";

/// Reads the field behind an opening quote.
fn unquote(quoted: &str, delimiter: char) -> Result<SplitField<'_>, &'static str> {
    let mut field = Cow::Borrowed("");
    let mut rest = quoted;
    loop {
        let Some((part, after)) = rest.split_once('"') else {
            return Err(QUOTES_DO_NOT_CLOSE);
        };
        field += part;
        match after.chars().next() {
            None => return Ok((field, None)),
            Some(next) if next == delimiter => return Ok((field, Some(&after[1..]))),
            Some('"') => {
                field += "\"";
                rest = &after[1..];
            }
            Some(_) => return Err("text follows a field's closing quote; write a quote inside quotes twice"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_split_into_fields() {
        let cases: [(&str, Result<&[&str], &str>); 10] = [
            ("a,b", Ok(&["a", "b"])),
            ("a,b\r\n", Ok(&["a", "b"])),
            (",", Ok(&["", ""])),
            (r#""a,b",c"#, Ok(&["a,b", "c"])),
            (r#""say ""hi""",""""#, Err("do not close")),
            (r#""say ""hi""","""""#, Ok(&[r#"say "hi""#, r#"""#])),
            ("\"two\nlines\",x", Ok(&["two\nlines", "x"])),
            ("a\nb,c", Err("more than one line")),
            (r#""a"b,c"#, Err("follows")),
            (r#"5" pipe,x"#, Ok(&["5\" pipe", "x"])),
        ];
        for (line, expected) in cases {
            match (split(line, 2, ','), expected) {
                (Ok(fields), Ok(expected)) => assert_eq!(fields, expected, "{line}"),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{line}: {error}"),
                (fields, expected) => panic!("{line}: {fields:?} instead of {expected:?}"),
            }
        }
    }

    proptest! {
        #[test]
        fn what_a_writer_writes_is_read(fields in proptest::collection::vec("[a-z,\"\r\n é]{0,8}", 1..6)) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(&fields).unwrap();
            let line = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            prop_assert_eq!(split(&line, fields.len(), ',').unwrap(), fields);
        }
    }
}
