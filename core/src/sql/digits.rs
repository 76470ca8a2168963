//! Fractions and offsets as PostgreSQL writes them.

/// Nanoseconds behind the point, without zeros at the end.
pub(super) fn fraction(nanos: u64) -> String {
    match nanos {
        0 => String::new(),
        _ => format!(".{}", format!("{nanos:09}").trim_end_matches('0')),
    }
}

/// Formats an offset in seconds: `+00`, `-04`, `+05:30`, `-04:56:02`.
pub(super) fn offset(ahead: i64) -> String {
    let sign = if ahead < 0 { '-' } else { '+' };
    let (hours, minutes, seconds) = (ahead.abs() / 3600, ahead.abs() / 60 % 60, ahead.abs() % 60);
    match (minutes, seconds) {
        (0, 0) => format!("{sign}{hours:02}"),
        (_, 0) => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
    }
}
