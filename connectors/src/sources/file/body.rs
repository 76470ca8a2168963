//! The records of a request's body. Plain lines are used in place; pretty-printed JSON and arrays are read as in a
//! file.

use std::io::Cursor;

use bytes::Bytes;
use dovetail_core::pipeline::{Format, Stream};

use super::objects::{self, Objects};
use super::text::SourceText;
use super::values::ArrayValues;
use super::{Raw, SourceError};

/// A JSON body that ends, or continues, in the wrong place.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The body ends inside of a value.
    #[error("the body ends in the middle of a JSON value (line {line}, byte {byte}); send all of it")]
    CutOff {
        /// Line, from 1.
        line: u64,
        /// Byte, from 0.
        byte: u64,
    },
    /// The body continues after its array.
    #[error(
        "the body goes on after the end of its JSON array (line {line}, byte {byte}); send one array, or one object a line"
    )]
    AfterArray {
        /// Line, from 1.
        line: u64,
        /// Byte, from 0.
        byte: u64,
    },
    /// Another error of reading it.
    #[error("the body cannot be read")]
    Other(#[source] SourceError),
}

impl From<SourceError> for BodyError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Truncated { line, byte, .. } => Self::CutOff { line, byte },
            SourceError::AfterArray { line, byte, .. } => Self::AfterArray { line, byte },
            other => Self::Other(other),
        }
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The lines of `body` that are not blank: for CSV with the line breaks inside of quotes, for JSON `None` unless each
/// line is an object by its brackets.
pub fn split_lines<'b>(stream: &Stream, body: &'b [u8]) -> Option<Vec<&'b [u8]>> {
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    let lines = body.split(|&byte| byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    match stream.format {
        Format::Csv => Some(csv_rows(body, stream.options.delimiter.unwrap_or(b','))),
        Format::Text => Some(lines.map(without_return).collect()),
        Format::Json => lines.map(|line| objects::is_whole(line).then(|| without_return(line))).collect(),
    }
}

/// The JSON values of `body`: the elements of an array, or objects, one per line or over several lines.
pub fn split_values(body: &Bytes) -> Result<Vec<Vec<u8>>, BodyError> {
    let body = match body.strip_prefix(BYTE_ORDER_MARK) {
        Some(_) => body.slice(BYTE_ORDER_MARK.len()..),
        None => body.clone(),
    };
    let (array, longest) = (body.trim_ascii_start().starts_with(b"["), body.len());
    let text = SourceText::new("the body".into(), Box::new(Cursor::new(body)), longest);
    let mut records = Vec::new();
    let mut push = |raw: Raw| records.push(raw.value);
    if array {
        let mut values = ArrayValues::of_array(text);
        while let Some(raw) = values.next()? {
            push(raw);
        }
    } else {
        let mut objects = Objects::new(text);
        while let Some(raw) = objects.next()? {
            push(raw);
        }
    }
    Ok(records)
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn csv_rows(body: &[u8], delimiter: u8) -> Vec<&[u8]> {
    let mut rows = Vec::new();
    let mut rest = body;
    while !rest.is_empty() {
        let end = row_end(rest, delimiter).unwrap_or_else(|| line_end(rest));
        let row = &rest[..end];
        if !row.trim_ascii().is_empty() {
            rows.push(without_return(row));
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    rows
}

fn line_end(rest: &[u8]) -> usize {
    rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len())
}

/// The end of the row at the start of `rest`; none when its quotes are not those of a row.
fn row_end(rest: &[u8], delimiter: u8) -> Option<usize> {
    let mut at = 0;
    loop {
        if rest.get(at) == Some(&b'"') {
            at += 1;
            loop {
                at += rest.get(at..)?.iter().position(|&byte| byte == b'"')? + 1;
                match rest.get(at) {
                    Some(b'"') => at += 1,
                    None => return Some(at),
                    Some(byte) if *byte == delimiter || *byte == b'\n' => break,
                    Some(b'\r') if matches!(rest.get(at + 1), None | Some(b'\n')) => {
                        at += 1;
                        break;
                    }
                    Some(_) => return None,
                }
            }
        } else {
            at += rest[at..].iter().position(|&byte| byte == delimiter || byte == b'\n').unwrap_or(rest.len() - at);
        }
        match rest.get(at) {
            Some(byte) if *byte == delimiter => at += 1,
            _ => return Some(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::stream;
    use super::*;

    fn csv(body: &str) -> Vec<&str> {
        let rows = split_lines(&stream(Format::Csv, &["a"]), body.as_bytes()).unwrap();
        rows.into_iter().map(|row| std::str::from_utf8(row).unwrap()).collect()
    }

    fn json(body: &str) -> Vec<String> {
        let text = |value: Vec<u8>| String::from_utf8(value).unwrap();
        let all = split_values(&Bytes::from(body.to_owned())).unwrap().into_iter().map(text).collect();
        if let Some(lines) = split_lines(&stream(Format::Json, &["a"]), body.as_bytes()) {
            let lines: Vec<String> = lines.iter().map(|line| text(line.to_vec())).collect();
            assert_eq!(lines, all, "{body}");
        }
        all
    }

    #[test]
    fn a_row_is_a_line_unless_a_break_is_in_quotes() {
        assert_eq!(csv("\u{feff}a,b\r\nc\n\n \nd"), ["a,b", "c", "d"]);
        assert_eq!(csv("1,\"a\nb\"\n2,\"\"\"\n\"\"\",x\r\n3"), ["1,\"a\nb\"", "2,\"\"\"\n\"\"\",x", "3"]);
        assert_eq!(csv("1,\"open\n2\n3"), ["1,\"open", "2", "3"]);
        assert_eq!(csv("\"a\"b\n\"c\n\"d\n"), ["\"a\"b", "\"c", "\"d"]);
        assert_eq!(csv("\"a\"\r\n\"b\"\r"), ["\"a\"", "\"b\""]);
        assert_eq!(csv("5\" pipe\n6"), ["5\" pipe", "6"]);
    }

    #[test]
    fn a_delimiter_ends_quotes_and_lines_are_what_they_are() {
        let mut semicolons = stream(Format::Csv, &["a"]);
        semicolons.options.delimiter = Some(b';');
        assert_eq!(split_lines(&semicolons, b"\"a\n\";1\nb,\"\n"), Some(vec![b"\"a\n\";1".as_slice(), b"b,\""]));
        let text = stream(Format::Text, &["line"]);
        assert_eq!(split_lines(&text, b"[1,\r\n\n{\"a\"\n\"x"), Some(vec![b"[1,".as_slice(), b"{\"a\"", b"\"x"]));
    }

    #[test]
    fn json_is_what_it_looks_like() {
        assert_eq!(json("{\"a\":1}\n\n{\"a\":2}\r\n"), ["{\"a\":1}", "{\"a\":2}"]);
        assert_eq!(json("{\n \"a\": [\n {\"b\": 1},\n {\"b\": 2}\n]}"), ["{\"a\":[{\"b\":1},{\"b\":2}]}"]);
        assert_eq!(json("{\"a\":1}{\"a\":2} {\"a\":3}"), ["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"]);
        assert_eq!(json("{\n\"a\":1\n},\n{\n\"a\":2}"), ["{\"a\":1}", "{\"a\":2}"]);
        assert_eq!(json(" [\n{\"a\": 1}, 2]"), ["{\"a\":1}", "2"]);
        assert_eq!(json("[{\"a\":\"x\ny\"},{}]"), ["{\"a\":\"x\ny\"}", "{}"]);
        assert_eq!(json(""), [""; 0]);
    }

    #[test]
    fn a_bad_line_is_one_record() {
        for bad in
            ["{", "{\"a\":", "{\"a\":\"x", "{\"a\":1}x", "{\"a\":1}}", "}", "x", "{\"a\":1}{\"b\"", "{'a'}", "[1]"]
        {
            let body = format!("{{\"a\":1}}\n{bad}\n{{\"a\":2}}\n{{\"a\":3}}\n");
            assert_eq!(json(&body), ["{\"a\":1}", bad, "{\"a\":2}", "{\"a\":3}"], "{bad}");
        }
    }

    #[test]
    fn bad_lines_at_the_end_are_a_record_each() {
        assert_eq!(json("{\"a\":1}\n{\"a\":\"xxxxxx\ny"), ["{\"a\":1}", "{\"a\":\"xxxxxx", "y"]);
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        for body in ["[{\"a\":1},", "{\n\"a\": 1,\n\"b\"", "[{}] {}"] {
            assert!(split_values(&Bytes::from(body)).is_err(), "{body}");
        }
    }
}
