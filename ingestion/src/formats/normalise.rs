//! The slow path of JSON decoding: a value of the log is rewritten so that it decodes, if the fast path refuses it or
//! reads it too leniently.
//!
//! Only declared fields are kept. `""` in a column that is no text becomes null, a text in a BOOLEAN column a boolean,
//! and an object or array in a text column its own JSON text. A record that decodes without being rewritten decodes to
//! the same row after it.

use std::borrow::Cow;
use std::fmt;

use arrow::datatypes::{DataType, Fields};
use dovetail_core::texts::{boolean, float};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::shape::has_misread_pair;
use crate::formats::reason::Why;

/// The reason why a record was not rewritten.
#[derive(Debug)]
pub(super) enum Reject {
    /// The value is not one JSON object; another parser may be more lenient.
    Syntax(Why),
    /// A member's value is not of its column's type.
    Column(Why),
}

/// Appends `text` to `out` in a form that decodes as `fields`. Leaves half a record in `out` when it fails.
pub(super) fn normalise(text: &str, fields: &Fields, out: &mut Vec<u8>) -> Result<(), Reject> {
    let members = members(text, fields).map_err(|error| Reject::Syntax(Why::no_object(&error)))?;
    object(&members, fields, out).map_err(|bad| Reject::Column(bad.why()))
}

/// The declared members of a JSON object with the index of their field, in the order of the text. Does not recurse,
/// however deep `text` nests.
pub(super) fn members<'a>(text: &'a str, fields: &Fields) -> Result<Vec<(usize, &'a RawValue)>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let members = ObjectMembers(fields).deserialize(&mut json)?;
    json.end()?;
    Ok(members)
}

/// A value that is not of its column's type.
struct Bad<'v> {
    /// Path of the field, innermost first.
    path: Vec<String>,
    data_type: DataType,
    value: &'v str,
}

impl<'v> Bad<'v> {
    fn of(data_type: &DataType, value: &'v str) -> Self {
        Self { path: vec![], data_type: data_type.clone(), value }
    }

    fn within(mut self, part: String) -> Self {
        self.path.push(part);
        self
    }

    fn why(self) -> Why {
        let mut path = String::new();
        for part in self.path.iter().rev() {
            if !path.is_empty() && part != ITEMS {
                path.push('.');
            }
            path.push_str(part);
        }
        let text = if self.value.starts_with('"') { string(self.value) } else { None };
        Why::not_a(&path, &self.data_type, text.as_deref().unwrap_or(self.value))
    }
}

const ITEMS: &str = "[]";

/// Appends an object; the error is the first value that is not of its type.
fn object<'a>(members: &[(usize, &'a RawValue)], fields: &Fields, out: &mut Vec<u8>) -> Result<(), Bad<'a>> {
    out.push(b'{');
    for (i, &(index, raw)) in members.iter().enumerate() {
        let field = &fields[index];
        if i > 0 {
            out.push(b',');
        }
        push_string(field.name(), out);
        out.push(b':');
        value(raw.get(), field.data_type(), out).map_err(|bad| bad.within(field.name().clone()))?;
    }
    out.push(b'}');
    Ok(())
}

/// Appends a value of type `data_type`. Recurses as deep as the type does.
fn value<'a>(text: &'a str, data_type: &DataType, out: &mut Vec<u8>) -> Result<(), Bad<'a>> {
    use DataType::{
        Binary, Boolean, Date32, Date64, Float32, Float64, LargeList, LargeUtf8, List, Struct, Utf8, Utf8View,
    };
    let bad = || Bad::of(data_type, text);
    let first = text.bytes().next().ok_or_else(bad)?;
    match data_type {
        _ if first == b'n' => out.extend_from_slice(b"null"),
        // Half a surrogate pair is no text.
        _ if first == b'"' && text.contains(r"\u") && string(text).is_none() => return Err(bad()),
        Utf8 | LargeUtf8 | Utf8View if matches!(first, b'{' | b'[') => push_string(text, out),
        Utf8 | LargeUtf8 | Utf8View if first == b'"' && has_misread_pair(text.as_bytes()) => {
            push_string(&string(text).ok_or_else(bad)?, out);
        }
        Utf8 | LargeUtf8 | Utf8View => out.extend_from_slice(text.as_bytes()),
        Binary if text == r#""""# => out.extend_from_slice(text.as_bytes()),
        Binary => match string(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            Some(_) => out.extend_from_slice(text.as_bytes()),
            None => return Err(bad()),
        },
        _ if text == r#""""# => out.extend_from_slice(b"null"),
        Struct(fields) if first == b'{' => {
            let members = members(text, fields).map_err(|_| bad())?;
            object(&members, fields, out)?;
        }
        List(field) | LargeList(field) if first == b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| bad())?;
            out.push(b'[');
            for (i, item) in items.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                value(item.get(), field.data_type(), out).map_err(|bad| bad.within(ITEMS.to_owned()))?;
            }
            out.push(b']');
        }
        Struct(_) | List(_) | LargeList(_) => return Err(bad()),
        _ if matches!(first, b'{' | b'[') => return Err(bad()),
        Boolean => {
            let value = match first {
                b'"' => string(text).and_then(|text| boolean(&text)),
                _ => text.parse().ok(),
            };
            out.extend_from_slice(if value.ok_or_else(bad)? { b"true" } else { b"false" });
        }
        Float32 => float_text(text, float::<f32>, out).ok_or_else(bad)?,
        Float64 => float_text(text, float::<f64>, out).ok_or_else(bad)?,
        // The text may count days or be a year, a month and a day.
        Date32 | Date64 if is_compact_date(text) => return Err(bad()),
        // The rest is read as text, later.
        _ => out.extend_from_slice(text.as_bytes()),
    }
    Ok(())
}

/// Appends a float that is written as a number or as a string.
fn float_text<F>(text: &str, read: impl Fn(&str) -> Option<F>, out: &mut Vec<u8>) -> Option<()> {
    if !text.starts_with('"') {
        read(text)?;
        out.extend_from_slice(text.as_bytes());
        return Some(());
    }
    let text = string(text)?;
    let text = text.trim_ascii();
    if text.is_empty() {
        out.extend_from_slice(b"null");
        return Some(());
    }
    read(text)?;
    push_string(text, out);
    Some(())
}

fn string(text: &str) -> Option<String> {
    serde_json::from_str(text).ok()
}

/// Whether a JSON number would pass for a date once it is text.
pub(super) fn is_compact_date(text: &str) -> bool {
    text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn push_string(text: &str, out: &mut Vec<u8>) {
    // Writing text to a vector does not fail.
    let _ = serde_json::to_writer(out, text);
}

struct ObjectMembers<'f>(&'f Fields);

impl<'de> DeserializeSeed<'de> for ObjectMembers<'_> {
    type Value = Vec<(usize, &'de RawValue)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ObjectMembers<'_> {
    type Value = Vec<(usize, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(self.0.len());
        while let Some(Name(name)) = map.next_key()? {
            match self.0.iter().position(|field| *field.name() == name) {
                Some(index) => members.push((index, map.next_value()?)),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(members)
    }
}

/// A member's name, borrowed unless it holds escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);
