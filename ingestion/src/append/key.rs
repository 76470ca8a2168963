//! The key of a record: the text of one column, found without decoding the others.

use std::fmt;

use dovetail_core::pipeline::{Format, Stream};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::formats::{delimiter, split_line};

/// The column that a stream names as its key.
#[derive(Debug)]
pub(super) struct KeyColumn {
    name: String,
    format: Format,
    /// Its index among the stream's columns, and their number.
    index: usize,
    columns: usize,
    null_texts: Vec<String>,
    delimiter: char,
}

impl KeyColumn {
    /// The key column; `None` when the stream has no key.
    pub(super) fn of(stream: &Stream) -> Option<Self> {
        let name = stream.options.key.clone()?;
        let (index, _) = stream.columns.column_with_name(&name)?;
        let (columns, null_texts) = (stream.columns.fields().len(), stream.options.null_texts.clone());
        let delimiter = delimiter(&stream.options);
        Some(Self { name, format: stream.format, index, columns, null_texts, delimiter })
    }

    /// The text of the key in `value`: the content of a string, else the JSON as written. None where it is absent or
    /// null, or where the value is broken; the last one where it occurs twice, as in decoding.
    pub(super) fn key(&self, value: &[u8]) -> Option<Vec<u8>> {
        match self.format {
            Format::Json => {
                let raw =
                    serde_json::Deserializer::from_slice(value).deserialize_map(ObjectMember(&self.name)).ok()??;
                match raw.get() {
                    "null" => None,
                    text if text.starts_with('"') => serde_json::from_str::<String>(text).ok().map(String::into_bytes),
                    text => Some(text.as_bytes().to_vec()),
                }
            }
            Format::Csv => {
                let fields = split_line(std::str::from_utf8(value).ok()?, self.columns, self.delimiter).ok()?;
                let field = fields.get(self.index).filter(|field| !field.is_empty())?;
                (!self.null_texts.iter().any(|null| null == field)).then(|| field.as_bytes().to_vec())
            }
            Format::Text => Some(value.to_vec()),
        }
    }
}

/// Finds one member of an object and skips the others.
struct ObjectMember<'n>(&'n str);

impl<'de> Visitor<'de> for ObjectMember<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(NameMatch(self.0))? {
            if is_it {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Tells whether a member has this name, without an allocation.
struct NameMatch<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for NameMatch<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NameMatch<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dovetail_core::pipeline::Pipeline;

    use super::*;

    fn column(columns: &str, format: &str, options: &str) -> KeyColumn {
        let sql = format!(
            "CREATE EXTERNAL TABLE s ({columns}) STORED AS {format} LOCATION 'kafka://S' OPTIONS ('key' 'k'{options});"
        );
        KeyColumn::of(&Pipeline::parse(&sql, Path::new("p.sql")).unwrap().streams[0]).unwrap()
    }

    #[test]
    fn the_key_of_an_object_is_its_text() {
        let column = column("a BIGINT, k VARCHAR", "JSON", "");
        let cases: [(&str, Option<&str>); 16] = [
            (r#"{"k":"x"}"#, Some("x")),
            (r#" {"a": {"k": "inner"}, "k" : "outer", "b": [{"k": 1}]} "#, Some("outer")),
            (r#"{"a":{"k":"inner"}}"#, None),
            (r#"{"k":"first","k":"last"}"#, Some("last")),
            (r#"{"k":"first","k":null}"#, None),
            (r#"{"\u006b":"escaped name"}"#, Some("escaped name")),
            (r#"{"k":"a\"b\u00e9\n"}"#, Some("a\"bé\n")),
            (r#"{"k":""}"#, Some("")),
            (r#"{"k":123456789012345678901234567890}"#, Some("123456789012345678901234567890")),
            (r#"{"k":1.0}"#, Some("1.0")),
            (r#"{"k":true}"#, Some("true")),
            (r#"{"k":{"x": [1, 2]}}"#, Some(r#"{"x": [1, 2]}"#)),
            (r#"{"K":"x"}"#, None),
            (r#"{"k":"x""#, None),
            (r#"["k"]"#, None),
            ("", None),
        ];
        for (value, key) in cases {
            assert_eq!(column.key(value.as_bytes()), key.map(|key| key.as_bytes().to_vec()), "{value}");
        }
        assert_eq!(column.key(b"{\"k\":\"\xff\"}"), None);
    }

    #[test]
    fn the_key_of_a_line_is_its_field() {
        let column = column("a BIGINT, k VARCHAR, b VARCHAR", "CSV", ", 'null' 'NA'");
        let cases = [
            ("1,x,y", Some("x")),
            (r#"1,"x, ""y""",z"#, Some(r#"x, "y""#)),
            ("1,,y", None),
            ("1,NA,y", None),
            ("1", None),
            ("1,\"x", None),
        ];
        for (value, key) in cases {
            assert_eq!(column.key(value.as_bytes()), key.map(|key: &str| key.as_bytes().to_vec()), "{value}");
        }
    }
}
