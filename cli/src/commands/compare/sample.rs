//! A record of a stream with some of its values replaced.

use anyhow::{Context, Result, bail};
use dovetail_core::pipeline::{Format, Stream};
use dovetail_ingestion::formats::split_line;
use serde_json::{Map, Value};

/// A record that is sent again with other values.
#[derive(Debug, Clone)]
pub(super) enum Sample {
    /// The fields of an object.
    Json(Map<String, Value>),
    /// The cells of a row, by the stream's columns.
    Csv { columns: Vec<String>, cells: Vec<String>, delimiter: char },
}

impl Sample {
    /// A sample from the bytes of a record.
    pub(super) fn read(stream: &Stream, record: &[u8]) -> Result<Self> {
        match stream.format {
            Format::Json => match serde_json::from_slice(record).context("the first record is no JSON")? {
                Value::Object(fields) => Ok(Self::Json(fields)),
                _ => bail!("the first record is no JSON object"),
            },
            Format::Csv => {
                let columns: Vec<String> = stream.columns.fields().iter().map(|field| field.name().clone()).collect();
                let delimiter = char::from(stream.options.delimiter.unwrap_or(b','));
                let text = std::str::from_utf8(record).context("the first record is no text")?;
                let cells = split_line(text.trim_end(), columns.len(), delimiter);
                let cells = cells.ok().context("the first record is no row of CSV")?;
                Ok(Self::Csv { columns, cells: cells.into_iter().map(Into::into).collect(), delimiter })
            }
            Format::Text => bail!("the records of this stream are texts without fields"),
        }
    }

    /// Replaces the value of `column`.
    pub(super) fn set(&mut self, column: &str, value: Value) -> Result<()> {
        match self {
            Self::Json(fields) => {
                fields.insert(column.to_owned(), value);
            }
            Self::Csv { columns, cells, .. } => {
                let at = columns.iter().position(|name| name == column);
                let cell = at.and_then(|at| cells.get_mut(at)).with_context(|| format!("no cell is of `{column}`"))?;
                *cell = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            }
        }
        Ok(())
    }

    /// The bytes of the record.
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        match self {
            Self::Json(fields) => Ok(serde_json::to_vec(fields)?),
            Self::Csv { cells, delimiter, .. } => {
                let quoted = |cell: &String| match cell.contains([*delimiter, '"', '\n', '\r']) {
                    true => format!("\"{}\"", cell.replace('"', "\"\"")),
                    false => cell.clone(),
                };
                let cells: Vec<String> = cells.iter().map(quoted).collect();
                Ok(cells.join(&delimiter.to_string()).into_bytes())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_replaced_and_the_rest_stays() {
        let mut json = Sample::Json(serde_json::from_str(r#"{"a":1,"b":"x"}"#).unwrap());
        json.set("b", Value::from("y")).unwrap();
        assert_eq!(json.bytes().unwrap(), br#"{"a":1,"b":"y"}"#);
        let columns = ["a", "b", "c"].map(str::to_owned).to_vec();
        let cells = ["1", "x", "say \"so\", then"].map(str::to_owned).to_vec();
        let mut csv = Sample::Csv { columns, cells, delimiter: ',' };
        csv.set("a", Value::from(2)).unwrap();
        csv.set("b", Value::from("y")).unwrap();
        assert_eq!(csv.bytes().unwrap(), b"2,y,\"say \"\"so\"\", then\"");
        assert!(csv.set("d", Value::Null).is_err());
    }
}
