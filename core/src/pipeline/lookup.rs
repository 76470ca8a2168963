//! A lookup as declared: a small file beside the pipeline.

use std::path::Path;

use datafusion::sql::parser::CreateExternalTable;
use datafusion::sql::sqlparser::tokenizer::Location;

use super::error::ErrorReport;
use super::lookup_file::{self, MAX_LOOKUP_BYTES};
use super::options::{self, OptionEntry};
use super::suggest::nearest;
use super::usable_name::usable;
use super::{Lookup, LookupFormat, types};
use crate::name::StreamName;

const CSV_KEYS: [&str; 2] = ["format.has_header", "format.delimiter"];

/// Reads a `CREATE EXTERNAL TABLE` whose location is a file; the file is read once to check it against the declaration.
pub(super) fn declared(
    name: &str,
    name_at: Location,
    folder: &Path,
    file_at: Location,
    table: &CreateExternalTable,
    entries: &[OptionEntry],
    report: &mut ErrorReport<'_>,
) -> Option<Lookup> {
    let errors = report.errors.len();
    // A lookup shares its namespace with streams, so it has to be a name of the same shape.
    let name = usable(StreamName::parse(name), name_at, report);
    let location = table.locations.first()?;
    check_location(location, file_at, report)?;
    let format = format(&table.file_type, report)?;
    let columns = (!table.columns.is_empty()).then(|| types::schema(&table.columns, None, report));
    let path = std::path::absolute(folder.join(location)).unwrap_or_else(|_| folder.join(location));
    let name = name?.to_string();
    let mut lookup = Lookup { name, columns, format, path, has_header: true, delimiter: b',', content: String::new() };
    options::once_each(entries, report);
    for entry in entries {
        set(&mut lookup, entry, report);
    }
    if report.errors.len() == errors {
        check_file(&mut lookup, file_at, report);
    }
    Some(lookup)
}

fn check_file(lookup: &mut Lookup, at: Location, report: &mut ErrorReport<'_>) {
    match lookup_file::read(lookup, MAX_LOOKUP_BYTES) {
        Ok(table) => lookup.content = table.content,
        Err(error) => report.push(at, error.to_string(), error.hint()),
    }
}

fn check_location(location: &str, at: Location, report: &mut ErrorReport<'_>) -> Option<()> {
    let Some((scheme, rest)) = location.split_once("://") else {
        if location.is_empty() {
            report.hint(at, "the location is empty", "write `kafka://TOPIC` for a stream, a file's path for a lookup");
            return None;
        }
        return Some(());
    };
    let hint = match nearest(scheme, ["kafka"]) {
        Some(_) => format!("did you mean `kafka://{rest}`?"),
        None => "write `kafka://TOPIC` for a stream, a local file's path for a lookup".to_owned(),
    };
    report.hint(at, format!("`{location}` is neither a topic nor a local file"), hint);
    None
}

fn format(file_type: &str, report: &mut ErrorReport<'_>) -> Option<LookupFormat> {
    match file_type {
        "CSV" => Some(LookupFormat::Csv),
        "PARQUET" => Some(LookupFormat::Parquet),
        other => {
            let hint = "write `STORED AS CSV` or `STORED AS PARQUET`; a stream's location is `kafka://TOPIC`";
            report.hint(report.start, format!("a lookup cannot be stored as {other}"), hint);
            None
        }
    }
}

fn set(lookup: &mut Lookup, entry: &OptionEntry, report: &mut ErrorReport<'_>) {
    if lookup.format == LookupFormat::Parquet {
        let message = format!("unknown option `{}`", entry.key);
        report.hint(entry.key_at, message, "a Parquet lookup has no options");
        return;
    }
    match entry.key.as_str() {
        "format.has_header" => lookup.has_header = options::boolean(entry, report).unwrap_or(true),
        "format.delimiter" => lookup.delimiter = delimiter(entry, report).unwrap_or(b','),
        _ => options::unknown(entry, &CSV_KEYS, report),
    }
}

fn delimiter(entry: &OptionEntry, report: &mut ErrorReport<'_>) -> Option<u8> {
    let found = match entry.value.as_bytes() {
        b"\\t" => Some(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Some(*byte),
        _ => None,
    };
    if found.is_none() {
        report.hint(entry.value_at, options::wrong(entry), "write one ASCII character, such as `;` or `\\t`");
    }
    found
}
