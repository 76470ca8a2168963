//! A JSON value of the log, rewritten so that it decodes: the slow path, for the records that the fast one
//! refuses.
//!
//! Only declared fields are kept. `""` in a column that is no text becomes null, `"true"` in a BOOLEAN column a
//! boolean, and an object or array in a text column its own JSON text. A record that decodes without being
//! rewritten decodes to the same row after it.

use std::borrow::Cow;
use std::fmt;

use arrow::datatypes::{DataType, Field, Fields};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::types::a_type;

/// Why a record was not rewritten.
#[derive(Debug)]
pub(super) enum Reject {
    /// Not one JSON object; another parser may be more lenient.
    Syntax(String),
    /// The shape of a column's value is not its type's.
    Column(String),
}

/// Appends `text` to `out` in a form that decodes as `fields`. Leaves half a record in `out` when it fails.
pub(super) fn normalise(text: &str, fields: &Fields, out: &mut Vec<u8>) -> Result<(), Reject> {
    let members = members(text, fields).map_err(|e| Reject::Syntax(format!("not a JSON object: {e}")))?;
    object(&members, fields, out).map_err(|(field, raw)| Reject::Column(not_a(field, raw)))
}

/// The declared members of a JSON object with the index of their field, in the order of the text. Does not
/// recurse however deep `text` nests.
pub(super) fn members<'a>(text: &'a str, fields: &Fields) -> Result<Vec<(usize, &'a RawValue)>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let members = Members(fields).deserialize(&mut json)?;
    json.end()?;
    Ok(members)
}

/// ``column `latitude`: "abc" is not a DOUBLE``.
pub(super) fn not_a(field: &Field, value: &str) -> String {
    format!("column `{}`: {} is not {}", field.name(), shortened(value), a_type(field.data_type()))
}

/// At most about 100 bytes of `value`.
fn shortened(value: &str) -> Cow<'_, str> {
    const MOST: usize = 100;
    if value.len() <= MOST {
        return Cow::Borrowed(value);
    }
    let end = (0..=MOST).rev().find(|&i| value.is_char_boundary(i)).unwrap_or(0);
    Cow::Owned(format!("{}..", &value[..end]))
}

/// Appends an object; the error is the first field whose value has the wrong shape, and that value.
fn object<'a, 'f>(
    members: &[(usize, &'a RawValue)],
    fields: &'f Fields,
    out: &mut Vec<u8>,
) -> Result<(), (&'f Field, &'a str)> {
    out.push(b'{');
    for (i, &(index, raw)) in members.iter().enumerate() {
        let field = &fields[index];
        if i > 0 {
            out.push(b',');
        }
        push_string(field.name(), out);
        out.push(b':');
        value(raw.get(), field.data_type(), out).ok_or((field.as_ref(), raw.get()))?;
    }
    out.push(b'}');
    Ok(())
}

/// Appends a value of type `data_type`. Recurses as deep as the type does.
fn value(text: &str, data_type: &DataType, out: &mut Vec<u8>) -> Option<()> {
    use DataType::{Binary, Boolean, LargeList, LargeUtf8, List, Struct, Utf8, Utf8View};
    let first = text.bytes().next()?;
    match data_type {
        _ if first == b'n' => out.extend_from_slice(b"null"),
        Utf8 | LargeUtf8 | Utf8View if matches!(first, b'{' | b'[') => push_string(text, out),
        Utf8 | LargeUtf8 | Utf8View => out.extend_from_slice(text.as_bytes()),
        Binary if text == r#""""# => out.extend_from_slice(text.as_bytes()),
        _ if text == r#""""# => out.extend_from_slice(b"null"),
        Struct(fields) if first == b'{' => {
            let members = members(text, fields).ok()?;
            object(&members, fields, out).ok()?;
        }
        List(field) | LargeList(field) if first == b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            out.push(b'[');
            for (i, item) in items.into_iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                value(item.get(), field.data_type(), out)?;
            }
            out.push(b']');
        }
        Struct(_) | List(_) | LargeList(_) => return None,
        _ if matches!(first, b'{' | b'[') => return None,
        Boolean if matches!(text, r#""true""# | r#""false""#) => {
            out.extend_from_slice(text.trim_matches('"').as_bytes())
        }
        _ => out.extend_from_slice(text.as_bytes()),
    }
    Some(())
}

fn push_string(text: &str, out: &mut Vec<u8>) {
    // Writing text to a vector does not fail.
    let _ = serde_json::to_writer(out, text);
}

struct Members<'f>(&'f Fields);

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = Vec<(usize, &'de RawValue)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Members<'_> {
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
