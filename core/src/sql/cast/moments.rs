//! Text as a timestamp. An offset in it says nothing where the type has no zone, and tells the instant where it has
//! one. Seconds may be missing, and leading zeros: `2026-3-1 9:05`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, exec_err};

use super::{casted, plainly};

pub(super) fn read(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let DataType::Timestamp(unit, zone) = to else { return exec_err!("`{to}` is no timestamp") };
    let texts = plainly(array, &DataType::Utf8)?;
    let local = DataType::Timestamp(*unit, None);
    if texts.as_string::<i32>().iter().flatten().all(is_plain) {
        return casted(&plainly(&texts, &local)?, to);
    }
    let written: Vec<Option<Written>> = texts.as_string::<i32>().iter().map(|text| text.map(Written::of)).collect();
    let with_offset = written.iter().map(|time| Some(time.as_ref().is_some_and(|time| time.offset.is_some())));
    let with_offset: BooleanArray = with_offset.collect();
    let instants = instants(&written, *unit, zone.as_ref())?;
    match zone {
        // They were only read because they have to be good.
        None => plainly(&locals(&written, |_| true), &local),
        Some(_) => {
            let locals = plainly(&locals(&written, |time| time.offset.is_none()), &local)?;
            Ok(zip(&with_offset, &instants, &casted(&locals, to)?)?)
        }
    }
}

fn locals(written: &[Option<Written>], which: impl Fn(&Written) -> bool) -> ArrayRef {
    let local = |time: &Option<Written>| time.as_ref().filter(|time| which(time)).map(|time| time.local.clone());
    Arc::new(written.iter().map(local).collect::<StringArray>())
}

/// Of those that have an offset.
fn instants(written: &[Option<Written>], unit: TimeUnit, zone: Option<&Arc<str>>) -> Result<ArrayRef> {
    let text = |time: &Option<Written>| {
        let time = time.as_ref()?;
        time.offset.as_ref().map(|offset| format!("{}{offset}", time.local))
    };
    let texts: ArrayRef = Arc::new(written.iter().map(text).collect::<StringArray>());
    let zone = zone.map_or_else(|| "UTC".into(), Arc::clone);
    plainly(&texts, &DataType::Timestamp(unit, Some(zone)))
}

/// `2026-03-01` or `2026-03-01 12:34:56.789`: nothing about it has to be mended.
fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let date = |bytes: &[u8]| bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-';
    match bytes.len() {
        10 => date(bytes),
        19.. => {
            date(&bytes[..10])
                && bytes[13] == b':'
                && bytes[16] == b':'
                && bytes[17..].iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
        }
        _ => false,
    }
}

/// A time in the parts that `arrow` reads.
#[derive(Debug, PartialEq, Eq)]
struct Written {
    local: String,
    offset: Option<String>,
}

impl Written {
    fn of(text: &str) -> Self {
        let text = text.trim();
        let (date, rest) = match text.find(['T', 't', ' ']) {
            Some(end) => (&text[..end], text[end + 1..].trim_start()),
            None => (text, ""),
        };
        let date = date.split('-').map(|part| format!("{part:0>2}")).collect::<Vec<_>>().join("-");
        let ends = rest.find(|c: char| !matches!(c, '0'..='9' | ':' | '.')).unwrap_or(rest.len());
        let (clock, offset) = (&rest[..ends], rest[ends..].trim_start());
        let zero = if clock.find(':') == Some(1) { "0" } else { "" };
        let local = match clock.matches(':').count() {
            0 if clock.is_empty() => date,
            1 if !clock.contains('.') => format!("{date} {zero}{clock}:00"),
            _ => format!("{date} {zero}{clock}"),
        };
        Self { local, offset: (!offset.is_empty()).then(|| offset.to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_out() {
        for (text, local, offset) in [
            ("2026-03-01 10:00", "2026-03-01 10:00:00", None),
            (" 2026-3-1T9:05 ", "2026-03-01 09:05:00", None),
            ("2026-03-01 10:00+02", "2026-03-01 10:00:00", Some("+02")),
            ("2026-3-1 9:05:07.25 Z", "2026-03-01 09:05:07.25", Some("Z")),
            ("2026-3-1", "2026-03-01", None),
            ("2026-03-01 10:00:00 nonsense", "2026-03-01 10:00:00", Some("nonsense")),
        ] {
            let expected = Written { local: local.to_owned(), offset: offset.map(str::to_owned) };
            assert_eq!(Written::of(text), expected, "{text}");
        }
    }
}
