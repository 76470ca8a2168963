//! Headers: a JSON object in this program, names and bytes in Kafka.
//!
//! ```text
//! {"a":"x"}              a: x
//! {"a":null}             a: (null)
//! {"a":["x","y"]}        a: x, a: y
//! {"a":{"hex":"00ff"}}   a: bytes that are not UTF-8
//! {"a":1}                a: 1, and comes back as {"a":"1"}
//! ```
//!
//! Two headers are Dovetail's own and are not shown: the source of a record, and a timestamp that librdkafka cannot
//! send.

use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::message::{Header, Headers, OwnedHeaders};
use serde_json::{Map, Value};

use crate::log::Spread;

/// `NUMBER/SPREAD SOURCE`, as in `17/4 mine` or `17/4=60000:0123456789abcdef file-1`; older versions wrote
/// `NUMBER SOURCE`.
pub(super) const SOURCE: &str = "dovetail-source";
/// Milliseconds; only where they are not past the epoch, since 0 stands for now in librdkafka.
pub(super) const TIMESTAMP: &str = "dovetail-timestamp";

/// Adds the headers of the JSON object `json`.
pub(super) fn add(mut to: OwnedHeaders, json: &str) -> OwnedHeaders {
    let headers = match serde_json::from_str(json) {
        Ok(Value::Object(headers)) => headers,
        Ok(other) => Map::from_iter([("headers".to_owned(), other)]),
        Err(_) => Map::from_iter([("headers".to_owned(), Value::String(json.to_owned()))]),
    };
    for (name, value) in headers {
        match value {
            Value::Array(values) => to = values.iter().fold(to, |to, value| one(to, &name, value)),
            value => to = one(to, &name, &value),
        }
    }
    to
}

fn one(to: OwnedHeaders, name: &str, value: &Value) -> OwnedHeaders {
    let bytes = match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Object(object) => Some(hex_of(object).unwrap_or_else(|| value.to_string().into_bytes())),
        value => Some(value.to_string().into_bytes()),
    };
    put(to, name, bytes.as_deref())
}

pub(super) fn put(to: OwnedHeaders, name: &str, value: Option<&[u8]>) -> OwnedHeaders {
    to.insert(Header { key: name, value })
}

fn hex_of(object: &Map<String, Value>) -> Option<Vec<u8>> {
    let text = object.get("hex").filter(|_| object.len() == 1)?.as_str()?;
    let pairs = text.as_bytes().chunks(2).map(|pair| str::from_utf8(pair).ok().filter(|pair| pair.len() == 2));
    pairs.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

/// The content of one record's headers.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Said {
    /// A JSON object of the headers that are not Dovetail's.
    pub(super) json: Option<String>,
    pub(super) timestamp_ms: Option<i64>,
}

pub(super) fn said(headers: &impl Headers) -> Said {
    let mut said = Said::default();
    let mut object = Map::new();
    for i in 0..headers.count() {
        let Some((name, value)) = get(headers, i) else { continue };
        match name.as_str() {
            SOURCE => {}
            TIMESTAMP => said.timestamp_ms = text(value).and_then(|ms| ms.parse().ok()),
            _ => push(&mut object, name, json(value)),
        }
    }
    if !object.is_empty() {
        said.json = Some(Value::Object(object).to_string());
    }
    said
}

/// The part of a record's own header after its number, which is the same for all records of an append.
pub(super) fn behind_number(source: &str, spread: &Spread) -> String {
    if spread.is_known() { format!("/{spread} {source}") } else { format!(" {source}") }
}

/// The source of a record, its number in it, and the source's spread.
pub(super) fn source(headers: &impl Headers) -> Option<(&str, u64, Spread)> {
    (0..headers.count()).find_map(|i| {
        // Its bytes are read only once the name is right.
        let header = catch_unwind(AssertUnwindSafe(|| headers.try_get(i))).ok()??;
        let (number, source) = text(header.value.filter(|_| header.key == SOURCE))?.split_once(' ')?;
        Some(match number.split_once('/') {
            Some((number, spread)) => (source, number.parse().ok()?, spread.parse().ok()?),
            None => (source, number.parse().ok()?, Spread::default()),
        })
    })
}

/// Reads a header; rdkafka panics at a name that is not UTF-8, which any producer may send.
fn get(headers: &impl Headers, i: usize) -> Option<(String, Option<&[u8]>)> {
    match catch_unwind(AssertUnwindSafe(|| headers.try_get(i))) {
        Ok(header) => header.map(|header| (header.key.to_owned(), header.value)),
        Err(_) => Some((format!("unreadable_{i}"), None)),
    }
}

fn text(value: Option<&[u8]>) -> Option<&str> {
    value.and_then(|bytes| str::from_utf8(bytes).ok())
}

fn json(value: Option<&[u8]>) -> Value {
    let Some(bytes) = value else { return Value::Null };
    match str::from_utf8(bytes) {
        Ok(text) => Value::String(text.to_owned()),
        Err(_) => {
            let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            });
            Value::Object(Map::from_iter([("hex".to_owned(), Value::String(hex))]))
        }
    }
}

/// Adds a value; several values of one name become an array.
fn push(object: &mut Map<String, Value>, name: String, value: Value) {
    match object.get_mut(&name) {
        Some(Value::Array(values)) => values.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
        None => {
            object.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Prefix;

    fn there_and_back(json: &str) -> Option<String> {
        said(&add(OwnedHeaders::new(), json)).json
    }

    #[test]
    fn headers_go_there_and_back() {
        for json in [
            r#"{"trace":"größe"}"#,
            r#"{"b":"2","a":"1"}"#,
            r#"{"a":null,"b":""}"#,
            r#"{"a":["1",null,"3"],"b":"x"}"#,
            r#"{"a":{"hex":"00ff"}}"#,
        ] {
            assert_eq!(there_and_back(json).as_deref(), Some(json));
        }
        assert_eq!(there_and_back("{}"), None);
        assert_eq!(there_and_back(r#"{"a":1.5,"b":{"c":true}}"#).as_deref(), Some(r#"{"a":"1.5","b":"{\"c\":true}"}"#));
        assert_eq!(there_and_back("no json").as_deref(), Some(r#"{"headers":"no json"}"#));
    }

    #[test]
    fn own_headers_are_not_shown() {
        let mut headers = put(OwnedHeaders::new(), SOURCE, Some(b"17 a file@1"));
        headers = put(headers, TIMESTAMP, Some(b"-5"));
        assert_eq!(said(&headers), Said { json: None, timestamp_ms: Some(-5) });
        assert_eq!(source(&headers), Some(("a file@1", 17, Spread::default())));
        assert_eq!(source(&add(headers, r#"{"a":"b"}"#)), Some(("a file@1", 17, Spread::default())));
        assert_eq!(source(&OwnedHeaders::new()), None);
    }

    #[test]
    fn a_mark_says_how_its_source_is_spread() {
        let said = Some(Prefix { records: 20, digest: 255 });
        let grown = Spread::over(4).then(0, 10, 6);
        for spread in [Spread::default(), Spread::over(4), grown.clone(), grown.with_prefix(said)] {
            let value = format!("17{}", behind_number("a/b c", &spread));
            let headers = put(OwnedHeaders::new(), SOURCE, Some(value.as_bytes()));
            assert_eq!(source(&headers), Some(("a/b c", 17, spread)), "{value}");
        }
        for value in ["17/ s", "17/x s", "/4 s", "x s", "17"] {
            assert_eq!(source(&put(OwnedHeaders::new(), SOURCE, Some(value.as_bytes()))), None, "{value}");
        }
    }
}
