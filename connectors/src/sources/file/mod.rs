//! Sources: files and pipes of records, read one record at a time and refused whole when they hold none.
//!
//! Reading blocks; the caller uses a thread of its own. A record is numbered by its place in the source, bad records
//! included, so that an interrupted ingest continues by number.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use dovetail_core::pipeline::{Format, Stream};

mod body;
mod error;
mod event_time;
mod header;
mod identity;
mod input;
mod lines;
mod objects;
mod pace;
mod parquet;
mod sniff;
mod table;
mod text;
mod values;

#[cfg(test)]
mod tests;

pub use body::{BodyError, split_lines, split_values};
pub use error::SourceError;
pub use event_time::EventTime;
pub use identity::source_id;
pub use pace::{Pace, Pacer};
pub use sniff::FileFormat;

use input::{InputPosition, SourceInput};
use lines::Lines;
use objects::Objects;
use parquet::ParquetRows;
use sniff::Sniffed;
use table::CsvTable;
use text::SourceText;
use values::ArrayValues;

/// Options of reading a source.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// The stream of the records: its options map headers, its format decides the form of a CSV row.
    pub stream: Arc<Stream>,
    /// The file's format, in place of detection by name and content; then only an empty source is refused.
    pub format: Option<FileFormat>,
    /// Whether to read a file whose header lacks a NOT NULL column.
    pub force: bool,
}

/// One record of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRecord {
    /// Its place in the source, from 0.
    pub number: u64,
    /// The value to append to the log: a JSON value, or a CSV row for a stream of CSV. It may contain any bytes.
    pub value: Vec<u8>,
    /// The line at which it begins, from 1.
    pub line: u64,
    /// Its length in bytes, if it is too long for a record: `value` is empty then.
    pub too_long: Option<u64>,
}

/// The records of one source, in order. It ends after an error.
pub struct SourceReader {
    records: RecordForm,
    position: InputPosition,
    total_bytes: Option<u64>,
    next: u64,
    ended: bool,
}

/// A record without its number.
struct Raw {
    value: Vec<u8>,
    line: u64,
    too_long: Option<u64>,
}

enum RecordForm {
    Lines(Lines),
    Objects(Objects),
    Values(ArrayValues),
    Table(Box<CsvTable>),
    Parquet(Box<ParquetRows>),
}

/// Opens the file at `path`, or standard input for `-`, and refuses content that plainly has no records.
pub fn open(path: &str, options: &SourceOptions) -> Result<SourceReader, SourceError> {
    if path == "-" {
        return read("-", io::stdin(), None, true, options);
    }
    let cannot_open = |error| SourceError::Open { name: path.to_owned(), error };
    let file = File::open(path).map_err(cannot_open)?;
    let metadata = file.metadata().map_err(cannot_open)?;
    if metadata.is_dir() {
        return Err(cannot_open(io::ErrorKind::IsADirectory.into()));
    }
    let total_bytes = metadata.is_file().then_some(metadata.len());
    if metadata.is_file() && options.format.is_none() && parquet::is_parquet(&file).map_err(cannot_open)? {
        let (position, stream) = (InputPosition::default(), &options.stream);
        let rows = ParquetRows::open(path, file, metadata.len(), position.clone(), stream, options.force)?;
        return Ok(SourceReader {
            records: RecordForm::Parquet(Box::new(rows)),
            position,
            total_bytes,
            next: 0,
            ended: false,
        });
    }
    read(path, file, total_bytes, !metadata.is_file(), options)
}

/// Reads the records of bytes in memory, as [`open`] does those of a file.
pub fn from_bytes(
    name: &str,
    body: impl AsRef<[u8]> + Send + 'static,
    options: &SourceOptions,
) -> Result<SourceReader, SourceError> {
    let total_bytes = body.as_ref().len() as u64;
    read(name, io::Cursor::new(body), Some(total_bytes), false, options)
}

fn read(
    name: &str,
    raw: impl Read + Send + 'static,
    total_bytes: Option<u64>,
    live: bool,
    options: &SourceOptions,
) -> Result<SourceReader, SourceError> {
    let cannot_open = |error| SourceError::Open { name: name.to_owned(), error };
    let SourceInput { text, prefix, position } = SourceInput::new(raw, live).map_err(cannot_open)?;
    let format = format(name, &prefix, options)?;
    let text = SourceText::new(name.into(), text, text::LONGEST_RECORD);
    let records = match format {
        FileFormat::Csv => {
            RecordForm::Table(Box::new(CsvTable::new(name, text, &prefix, &options.stream, options.force)?))
        }
        FileFormat::Lines => RecordForm::Lines(Lines::new(text)),
        FileFormat::Array => RecordForm::Values(ArrayValues::of_array(text)),
        FileFormat::Objects => RecordForm::Objects(Objects::new(text)),
    };
    Ok(SourceReader { records, position, total_bytes, next: 0, ended: false })
}

fn format(name: &str, prefix: &[u8], options: &SourceOptions) -> Result<FileFormat, SourceError> {
    let name = || name.to_owned();
    let stream = &options.stream;
    let seen = match stream.format {
        Format::Text => sniff::look_for_lines(prefix),
        Format::Json | Format::Csv => sniff::look(&name(), prefix),
    };
    let format = match (seen, options.format) {
        (Sniffed::Empty, _) => return Err(SourceError::Empty { name: name() }),
        (_, Some(format)) | (Sniffed::Data(format), None) => format,
        (Sniffed::NotData { looks_like, advice }, None) => {
            return Err(SourceError::NotData { name: name(), looks_like, advice });
        }
    };
    match (stream.format, format) {
        (Format::Csv, FileFormat::Lines | FileFormat::Array | FileFormat::Objects) => {
            Err(SourceError::JsonForCsv { name: name(), stream: stream.name.to_string() })
        }
        (Format::Text, _) => Ok(FileFormat::Lines),
        (Format::Json | Format::Csv, format) => Ok(format),
    }
}

impl SourceReader {
    /// Number of input bytes read, in compressed bytes; a little ahead of the records.
    pub fn bytes_read(&self) -> u64 {
        self.position.get()
    }

    /// Size of the input, in compressed bytes; `None` for a pipe.
    pub fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    /// Number of CSV rows so far with another width than the header or without UTF-8: they are among the records and
    /// will not decode.
    pub fn malformed_rows(&self) -> u64 {
        if let RecordForm::Table(table) = &self.records { table.malformed } else { 0 }
    }

    /// Fields of the file that the records leave out, because a CSV stream has its declared columns only.
    pub fn ignored_fields(&self) -> &[String] {
        match &self.records {
            RecordForm::Table(table) => &table.ignored,
            RecordForm::Parquet(rows) => &rows.ignored,
            _ => &[],
        }
    }
}

impl Iterator for SourceReader {
    type Item = Result<SourceRecord, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let raw = match &mut self.records {
            RecordForm::Lines(lines) => lines.next(),
            RecordForm::Objects(objects) => objects.next(),
            RecordForm::Values(values) => values.next(),
            RecordForm::Table(table) => table.next(),
            RecordForm::Parquet(rows) => rows.next(),
        };
        self.ended = !matches!(raw, Ok(Some(_)));
        let Raw { value, line, too_long } = match raw.transpose()? {
            Ok(raw) => raw,
            Err(error) => return Some(Err(error)),
        };
        let number = self.next;
        self.next += 1;
        Some(Ok(SourceRecord { number, value, line, too_long }))
    }
}

impl fmt::Debug for SourceReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceReader").field("next", &self.next).field("bytes_read", &self.bytes_read()).finish()
    }
}
