//! `OPTIONS (..)` of a stream or lookup: every key is known, given once and has a value that means something.

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use chrono::format::{Item, StrftimeItems};
use chrono_tz::{TZ_VARIANTS, Tz};
use datafusion::sql::sqlparser::tokenizer::Location;

use super::error::ErrorReport;
use super::suggest::{did_you_mean, nearest};
use super::{Format, Header, OnBadRecord, OnDataLoss, OnError, StreamOptions};

const STREAM_KEYS: [&str; 12] = [
    "event_time",
    "timezone",
    "timestamp_format",
    "timestamp_unit",
    "key",
    "partitions",
    "on_bad_record",
    "on_data_loss",
    "header",
    "header.NAME",
    "delimiter",
    "null",
];
const HEADER_NAME: &str = "header.";
const DEFAULT_PARTITIONS: u32 = 4;
const MAX_PARTITIONS: u32 = 1024;

/// One key and value as written, with their places.
#[derive(Debug, Clone)]
pub(super) struct OptionEntry {
    pub(super) key: String,
    pub(super) value: String,
    pub(super) key_at: Location,
    pub(super) value_at: Location,
}

/// Reads the zone, before everything else: the columns' types depend on it.
pub(super) fn timezone(entries: &[OptionEntry], report: &mut ErrorReport<'_>) -> Option<Tz> {
    let entry = entries.iter().find(|entry| entry.key == "timezone")?;
    if let Ok(zone) = entry.value.parse() {
        return Some(zone);
    }
    let hint = match nearest(&entry.value, TZ_VARIANTS.iter().map(|zone| zone.name())) {
        Some(zone) => format!("did you mean `{zone}`?"),
        None => "write a name of the IANA time zone database, such as `America/New_York` or `UTC`".to_owned(),
    };
    report.hint(entry.value_at, format!("unknown time zone `{}`", entry.value), hint);
    None
}

/// Reads the options of a stream; a wrong option is reported and left at its default.
pub(super) fn stream(
    entries: &[OptionEntry],
    zone: Option<Tz>,
    format: Format,
    columns: &Schema,
    report: &mut ErrorReport<'_>,
) -> StreamOptions {
    once_each(entries, report);
    let mut options = StreamOptions {
        event_time: None,
        timezone: zone,
        timestamp_formats: Vec::new(),
        timestamp_unit: TimeUnit::Millisecond,
        key: None,
        partitions: DEFAULT_PARTITIONS,
        on_bad_record: OnBadRecord::DeadLetter,
        on_data_loss: OnDataLoss::Stop,
        header: Header::AsIs,
        header_names: Vec::new(),
        delimiter: None,
        null_texts: Vec::new(),
    };
    for entry in entries {
        set(&mut options, entry, columns, report);
    }
    match format {
        Format::Json => {}
        Format::Csv => flat_columns(columns, report),
        Format::Text => one_text(columns, report),
    }
    options
}

fn set(options: &mut StreamOptions, entry: &OptionEntry, columns: &Schema, report: &mut ErrorReport<'_>) {
    match entry.key.as_str() {
        "timezone" => {}
        "event_time" => options.event_time = event_time(entry, columns, report),
        "key" => options.key = key(entry, columns, report),
        "timestamp_format" => options.timestamp_formats = timestamp_formats(entry, report),
        "timestamp_unit" => set_to(&mut options.timestamp_unit, timestamp_unit(entry, report)),
        "partitions" => set_to(&mut options.partitions, partitions(entry, report)),
        "on_bad_record" => set_to(&mut options.on_bad_record, on_bad_record(entry, report)),
        "on_data_loss" => set_to(&mut options.on_data_loss, on_data_loss(entry, report)),
        "header" => set_to(&mut options.header, header(entry, report)),
        "delimiter" => options.delimiter = delimiter(entry, report),
        "null" => options.null_texts = texts(&entry.value),
        other => match other.strip_prefix(HEADER_NAME) {
            Some(name) if !name.is_empty() => {
                options.header_names.extend(header_name(name, entry, columns, report));
            }
            _ => unknown(entry, &STREAM_KEYS, report),
        },
    }
}

fn set_to<T>(option: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *option = value;
    }
}

/// Reports an option that is not one of `known`.
pub(super) fn unknown(entry: &OptionEntry, known: &[&str], report: &mut ErrorReport<'_>) {
    report.hint(entry.key_at, format!("unknown option `{}`", entry.key), did_you_mean(&entry.key, known, "options"));
}

/// Reports options that are given twice.
pub(super) fn once_each(entries: &[OptionEntry], report: &mut ErrorReport<'_>) {
    for (i, entry) in entries.iter().enumerate() {
        if entries.iter().take(i).any(|other| other.key == entry.key) {
            report.error(entry.key_at, format!("option `{}` is given twice", entry.key));
        }
    }
}

/// Reads `true` or `false`.
pub(super) fn boolean(entry: &OptionEntry, report: &mut ErrorReport<'_>) -> Option<bool> {
    choice(entry, &[("true", true), ("false", false)], report)
}

fn choice<T: Copy>(entry: &OptionEntry, choices: &[(&str, T)], report: &mut ErrorReport<'_>) -> Option<T> {
    let found = choices.iter().find(|(text, _)| *text == entry.value).map(|(_, value)| *value);
    if found.is_none() {
        let texts: Vec<&str> = choices.iter().map(|(text, _)| *text).collect();
        let hint = did_you_mean(&entry.value, &texts, "values");
        report.hint(entry.value_at, wrong(entry), hint);
    }
    found
}

/// The message "option `x` cannot be `y`".
pub(super) fn wrong(entry: &OptionEntry) -> String {
    format!("option `{}` cannot be `{}`", entry.key, entry.value)
}

fn timestamp_unit(entry: &OptionEntry, report: &mut ErrorReport<'_>) -> Option<TimeUnit> {
    let units = [
        ("s", TimeUnit::Second),
        ("ms", TimeUnit::Millisecond),
        ("us", TimeUnit::Microsecond),
        ("ns", TimeUnit::Nanosecond),
    ];
    let found = units.iter().find(|(text, _)| *text == entry.value).map(|(_, unit)| *unit);
    if found.is_none() {
        report.hint(entry.value_at, wrong(entry), "values are `s`, `ms`, `us` and `ns`");
    }
    found
}

fn on_bad_record(entry: &OptionEntry, report: &mut ErrorReport<'_>) -> Option<OnBadRecord> {
    choice(entry, &[("dead_letter", OnBadRecord::DeadLetter), ("stop", OnBadRecord::Stop)], report)
}

/// Reads the options of a view: the handling of records whose evaluation fails.
pub(super) fn view(entries: &[OptionEntry], report: &mut ErrorReport<'_>) -> Option<OnError> {
    once_each(entries, report);
    let mut on_error = None;
    for entry in entries {
        match entry.key.as_str() {
            "on_error" => {
                let choices =
                    [OnError::DeadLetter, OnError::Null, OnError::Stop].map(|choice| (choice.as_str(), choice));
                on_error = choice(entry, &choices, report);
            }
            _ => unknown(entry, &["on_error"], report),
        }
    }
    on_error
}

fn on_data_loss(entry: &OptionEntry, report: &mut ErrorReport<'_>) -> Option<OnDataLoss> {
    choice(entry, &[("stop", OnDataLoss::Stop), ("continue", OnDataLoss::Continue)], report)
}

fn header(entry: &OptionEntry, report: &mut ErrorReport<'_>) -> Option<Header> {
    let rules = [("as_is", Header::AsIs), ("snake_case", Header::SnakeCase), ("none", Header::None)];
    choice(entry, &rules, report)
}

fn partitions(entry: &OptionEntry, report: &mut ErrorReport<'_>) -> Option<u32> {
    let number = entry.value.parse().ok().filter(|n| (1..=MAX_PARTITIONS).contains(n));
    if number.is_none() {
        report.hint(entry.value_at, wrong(entry), format!("write a number from 1 to {MAX_PARTITIONS}"));
    }
    number
}

fn timestamp_formats(entry: &OptionEntry, report: &mut ErrorReport<'_>) -> Vec<String> {
    let formats = texts(&entry.value);
    let is_wrong = |format: &String| StrftimeItems::new(format).any(|item| item == Item::Error);
    if let Some(format) = formats.iter().find(|format| is_wrong(format)) {
        let hint = "write chrono's specifiers, such as `%m/%d/%Y %I:%M:%S %p`";
        report.hint(entry.value_at, format!("`{format}` is not a timestamp format"), hint);
    }
    if formats.is_empty() {
        report.hint(entry.value_at, wrong(entry), "write a format, such as `%m/%d/%Y %I:%M:%S %p`, or leave it out");
    }
    formats
}

/// Splits texts separated by `|`, without empty ones.
fn texts(value: &str) -> Vec<String> {
    value.split('|').filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

fn event_time(entry: &OptionEntry, columns: &Schema, report: &mut ErrorReport<'_>) -> Option<String> {
    let data_type = declared(entry, columns, report)?;
    if !matches!(data_type, DataType::Timestamp(..) | DataType::Null) {
        let message = format!("event time `{}` is {}, not a timestamp", entry.value, kind(data_type));
        report.hint(entry.value_at, message, format!("declare it as `{} TIMESTAMP`", entry.value));
    }
    Some(entry.value.clone())
}

fn key(entry: &OptionEntry, columns: &Schema, report: &mut ErrorReport<'_>) -> Option<String> {
    let data_type = declared(entry, columns, report)?;
    if data_type.is_nested() {
        let message = format!("key `{}` is {}", entry.value, kind(data_type));
        report.hint(
            entry.value_at,
            message,
            "a key is one text or number: declare the field you need as its own column",
        );
    }
    Some(entry.value.clone())
}

fn header_name(
    name: &str,
    entry: &OptionEntry,
    columns: &Schema,
    report: &mut ErrorReport<'_>,
) -> Option<(String, String)> {
    declared(entry, columns, report)?;
    Some((name.to_owned(), entry.value.clone()))
}

/// The type of the column that the option's value names.
fn declared<'a>(entry: &OptionEntry, columns: &'a Schema, report: &mut ErrorReport<'_>) -> Option<&'a DataType> {
    if let Ok(field) = columns.field_with_name(&entry.value) {
        return Some(field.data_type());
    }
    let message = format!("option `{}` names `{}`, which is not a declared column", entry.key, entry.value);
    let names: Vec<&str> = columns.fields().iter().map(|field| field.name().as_str()).collect();
    report.hint(entry.value_at, message, did_you_mean(&entry.value, &names, "columns"));
    None
}

fn delimiter(entry: &OptionEntry, report: &mut ErrorReport<'_>) -> Option<u8> {
    let byte = match entry.value.as_bytes() {
        b"\\t" => Some(b'\t'),
        [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Some(*byte),
        _ => None,
    };
    if byte.is_none() {
        report.hint(entry.value_at, wrong(entry), "write one ASCII character, such as `;` or `\\t`");
    }
    byte
}

fn one_text(columns: &Schema, report: &mut ErrorReport<'_>) {
    let is_text =
        |field: &Field| matches!(field.data_type(), DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    if columns.fields().len() != 1 || !columns.fields().iter().all(|field| is_text(field)) {
        let hint = "write `(line VARCHAR)`, and take it apart in the views";
        report.hint(report.start, "a stream stored as TEXT has one column, and that is VARCHAR", hint);
    }
}

fn flat_columns(columns: &Schema, report: &mut ErrorReport<'_>) {
    for field in columns.fields().iter().filter(|field| field.data_type().is_nested()) {
        let message =
            format!("column `{}` is {}, which a CSV field cannot hold", field.name(), kind(field.data_type()));
        report.hint(report.start, message, "declare it as VARCHAR, or store the stream as JSON");
    }
}

fn kind(data_type: &DataType) -> String {
    match data_type {
        DataType::Struct(_) => "a struct".to_owned(),
        DataType::List(_) | DataType::FixedSizeList(..) => "an array".to_owned(),
        DataType::Utf8 => "text".to_owned(),
        other => other.to_string(),
    }
}
