//! The reason of a null in a NOT NULL column.

use dovetail_core::pipeline::{Format, Stream};

use super::reason::{Why, shortened};
use super::{csv, normalise};

/// A null in a NOT NULL column, with the text that stands in its place in `value`.
pub(super) fn null_reason(stream: &Stream, index: usize, value: &[u8]) -> Why {
    let fields = stream.columns.fields();
    let name = fields[index].name();
    let found = std::str::from_utf8(value).ok().and_then(|text| match stream.format {
        Format::Json => {
            let members = normalise::members(text.trim_ascii(), fields).ok()?;
            members.into_iter().rev().find(|(at, _)| *at == index).map(|(_, raw)| raw.get().to_owned())
        }
        Format::Csv => {
            let cells = csv::split(text, fields.len(), csv::delimiter(&stream.options)).ok()?;
            Some(cells.get(index)?.to_string())
        }
        Format::Text => None,
    });
    match found.as_deref() {
        None => Why::new(format!("column `{name}` is NOT NULL and absent")),
        Some("" | r#""""#) => Why::new(format!("column `{name}` is NOT NULL and empty")),
        Some("null") => Why::new(format!("column `{name}` is NOT NULL and null")),
        Some(other) => Why::of(format!("column `{name}` is NOT NULL and null"), shortened(other)),
    }
}
