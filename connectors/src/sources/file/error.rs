//! Errors of a source.

use std::io;

/// The reason why a source cannot be read, or cannot be read any further. The fields are the facts that the message
/// names.
///
/// Lines count from 1 and bytes from 0, both in the decompressed text.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are the facts that the messages name")]
pub enum SourceError {
    /// The file cannot be opened.
    #[error("cannot open `{name}`")]
    Open {
        name: String,
        #[source]
        error: io::Error,
    },
    /// The source has no content.
    #[error("`{name}` is empty; nothing was appended")]
    Empty { name: String },
    /// The first bytes are those of another kind of file.
    #[error("`{name}` looks like {looks_like}, not like records; {advice}; nothing was appended")]
    NotData { name: String, looks_like: &'static str, advice: &'static str },
    /// A JSON file for a stream of CSV.
    #[error(
        "`{name}` holds JSON, but stream `{stream}` is declared `STORED AS CSV`; convert the file or declare the stream `STORED AS JSON`"
    )]
    JsonForCsv { name: String, stream: String },
    /// The header has no column of the stream.
    #[error(
        "no header of `{name}` is a column of stream `{stream}`: it has {found}, the stream {wanted}; {rule} single headers with 'header.NAME' 'column', or write 'header' 'none' where the file has no header and its columns are in the declared order"
    )]
    NoHeaderMatches { name: String, stream: String, found: String, wanted: String, rule: &'static str },
    /// The header lacks a NOT NULL column.
    #[error(
        "the header of `{name}` lacks {missing}, NOT NULL in stream `{stream}`, so none of its records would decode: it has {found}; see if it is the right file, map headers with 'header.NAME' 'column', or append it all the same with `--force`; nothing was appended"
    )]
    HeaderLacks { name: String, stream: String, missing: String, found: String },
    /// A Parquet file for a stream of text.
    #[error(
        "`{name}` is a Parquet file, which stream `{stream}`, stored as TEXT, cannot hold; store it as JSON or CSV"
    )]
    ParquetForText { name: String, stream: String },
    /// The Parquet file is damaged, or has a type that cannot be converted.
    #[error("Parquet file `{name}` cannot be read: {why}")]
    Parquet { name: String, why: String },
    /// The source ends inside of a record.
    #[error(
        "`{name}` ends in the middle of {what} (line {line}, byte {byte}); get the whole file and start again: what was read before is kept"
    )]
    Truncated { name: String, what: &'static str, line: u64, byte: u64 },
    /// The source continues after its JSON array.
    #[error(
        "`{name}` goes on after the end of its JSON array (line {line}, byte {byte}); write one array, or one object a line"
    )]
    AfterArray { name: String, line: u64, byte: u64 },
    /// A record is too long to look for its end.
    #[error(
        "`{name}`: the record at line {line} (byte {byte}) is longer than {limit} bytes; see if a quote or a bracket is left open there"
    )]
    TooLong { name: String, line: u64, byte: u64, limit: usize },
    /// Reading failed at this place.
    #[error("cannot read `{name}` past line {line} (byte {byte})")]
    Read {
        name: String,
        line: u64,
        byte: u64,
        #[source]
        error: io::Error,
    },
}
