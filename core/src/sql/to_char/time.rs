//! Templates for times.

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, IntervalMonthDayNanoArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNano, TimeUnit};
use chrono::{DateTime, Datelike, NaiveDateTime, Timelike};
use datafusion::common::{DataFusionError, Result, exec_err};

use super::super::interval;
use super::super::zone::SqlZone;

/// A field of a template; longer names come before their own prefixes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TemplateField {
    Meridiem { dots: bool },
    Era { dots: bool },
    Century,
    DayName { short: bool },
    DayOfYear,
    Day,
    DayOfWeek,
    Fraction(u32),
    Hour24,
    Hour12,
    IsoDayOfYear,
    IsoDayOfWeek,
    IsoWeek,
    IsoYear(u32),
    Julian,
    Minute,
    Month,
    MonthName { short: bool },
    Offset,
    Quarter,
    Roman,
    SecondOfDay,
    Second,
    ZoneHours,
    ZoneMinutes,
    ZoneName,
    Week,
    WeekOfMonth,
    YearWithComma,
    Year(u32),
}

const FIELDS: [(&str, TemplateField); 47] = [
    ("A.D.", TemplateField::Era { dots: true }),
    ("A.M.", TemplateField::Meridiem { dots: true }),
    ("AD", TemplateField::Era { dots: false }),
    ("AM", TemplateField::Meridiem { dots: false }),
    ("B.C.", TemplateField::Era { dots: true }),
    ("BC", TemplateField::Era { dots: false }),
    ("CC", TemplateField::Century),
    ("DAY", TemplateField::DayName { short: false }),
    ("DDD", TemplateField::DayOfYear),
    ("DD", TemplateField::Day),
    ("DY", TemplateField::DayName { short: true }),
    ("D", TemplateField::DayOfWeek),
    ("FF1", TemplateField::Fraction(1)),
    ("FF2", TemplateField::Fraction(2)),
    ("FF3", TemplateField::Fraction(3)),
    ("FF4", TemplateField::Fraction(4)),
    ("FF5", TemplateField::Fraction(5)),
    ("FF6", TemplateField::Fraction(6)),
    ("HH24", TemplateField::Hour24),
    ("HH12", TemplateField::Hour12),
    ("HH", TemplateField::Hour12),
    ("IDDD", TemplateField::IsoDayOfYear),
    ("ID", TemplateField::IsoDayOfWeek),
    ("IW", TemplateField::IsoWeek),
    ("IYYY", TemplateField::IsoYear(4)),
    ("IYY", TemplateField::IsoYear(3)),
    ("IY", TemplateField::IsoYear(2)),
    ("I", TemplateField::IsoYear(1)),
    ("J", TemplateField::Julian),
    ("MI", TemplateField::Minute),
    ("MM", TemplateField::Month),
    ("MONTH", TemplateField::MonthName { short: false }),
    ("MON", TemplateField::MonthName { short: true }),
    ("MS", TemplateField::Fraction(3)),
    ("OF", TemplateField::Offset),
    ("P.M.", TemplateField::Meridiem { dots: true }),
    ("PM", TemplateField::Meridiem { dots: false }),
    ("Q", TemplateField::Quarter),
    ("RM", TemplateField::Roman),
    ("SSSSS", TemplateField::SecondOfDay),
    ("SSSS", TemplateField::SecondOfDay),
    ("SS", TemplateField::Second),
    ("TZH", TemplateField::ZoneHours),
    ("TZM", TemplateField::ZoneMinutes),
    ("TZ", TemplateField::ZoneName),
    ("US", TemplateField::Fraction(6)),
    ("WW", TemplateField::Week),
];
const MORE_FIELDS: [(&str, TemplateField); 6] = [
    ("W", TemplateField::WeekOfMonth),
    ("Y,YYY", TemplateField::YearWithComma),
    ("YYYY", TemplateField::Year(4)),
    ("YYY", TemplateField::Year(3)),
    ("YY", TemplateField::Year(2)),
    ("Y", TemplateField::Year(1)),
];

/// The case of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LetterCase {
    Upper,
    Lower,
    Title,
}

#[derive(Debug, Clone, Copy)]
struct TemplatePart {
    field: TemplateField,
    case: LetterCase,
    /// `FM`: no padding by zeros or spaces.
    fill: bool,
    /// `TH` or `th`.
    ordinal: Option<LetterCase>,
}

#[derive(Debug)]
enum TimeToken {
    Field(TemplatePart),
    Text(String),
}

#[derive(Debug)]
pub(super) struct TimeTemplate(Vec<TimeToken>);

impl TimeTemplate {
    pub(super) fn parse(template: &str) -> Result<Self> {
        let mut tokens = vec![];
        let mut rest = template;
        while let Some(first) = rest.chars().next() {
            let mut fill = false;
            let mut field_at = rest;
            loop {
                match field_at.get(..2) {
                    Some("FM" | "fm") => {
                        fill = true;
                        field_at = &field_at[2..];
                    }
                    Some("FX" | "fx") => field_at = &field_at[2..],
                    // A localized name, unless it is a zone.
                    Some("TM" | "tm") => field_at = &field_at[2..],
                    _ => break,
                }
            }
            if let Some((field, case, length)) = field(field_at) {
                rest = &field_at[length..];
                let ordinal = match rest.get(..2) {
                    Some("TH") => Some(LetterCase::Upper),
                    Some("th") => Some(LetterCase::Lower),
                    _ => None,
                };
                if ordinal.is_some() {
                    rest = &rest[2..];
                }
                tokens.push(TimeToken::Field(TemplatePart { field, case, fill, ordinal }));
                continue;
            }
            if field_at.len() < rest.len() {
                rest = field_at;
                continue;
            }
            match first {
                '"' => {
                    let (text, behind) = quoted(&rest[1..]);
                    tokens.push(TimeToken::Text(text));
                    rest = behind;
                }
                '\\' if rest[1..].starts_with('"') => {
                    tokens.push(TimeToken::Text("\"".to_owned()));
                    rest = &rest[2..];
                }
                other => {
                    tokens.push(TimeToken::Text(other.to_string()));
                    rest = &rest[other.len_utf8()..];
                }
            }
        }
        Ok(Self(tokens))
    }
}

/// The quoted text, and the rest behind it.
fn quoted(rest: &str) -> (String, &str) {
    let mut text = String::new();
    let mut letters = rest.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return (text, &rest[at + 1..]),
            '\\' => text.extend(letters.next().map(|(_, letter)| letter)),
            other => text.push(other),
        }
    }
    (text, "")
}

fn field(rest: &str) -> Option<(TemplateField, LetterCase, usize)> {
    for (name, field) in FIELDS.into_iter().chain(MORE_FIELDS) {
        let Some(written) = rest.get(..name.len()) else { continue };
        let case = match written {
            written if written == name => LetterCase::Upper,
            written if written == name.to_lowercase() => LetterCase::Lower,
            "Day" | "Dy" | "Month" | "Mon" if written.eq_ignore_ascii_case(name) => LetterCase::Title,
            _ => continue,
        };
        return Some((field, case, name.len()));
    }
    None
}

/// Times by row.
pub(super) enum Times {
    Moments { nanos: Int64Array, per_second: i64, zone: Option<SqlZone> },
    Spans(IntervalMonthDayNanoArray),
}

impl Times {
    pub(super) fn new(values: &ArrayRef) -> Result<Self> {
        let per_second = |unit: TimeUnit| match unit {
            TimeUnit::Second => 1,
            TimeUnit::Millisecond => 1_000,
            TimeUnit::Microsecond => 1_000_000,
            TimeUnit::Nanosecond => 1_000_000_000,
        };
        let numbers = |values: &ArrayRef| -> Result<Int64Array> {
            Ok(cast(values, &DataType::Int64)?.as_primitive::<Int64Type>().clone())
        };
        Ok(match values.data_type() {
            DataType::Timestamp(unit, zone) => {
                let zone = zone.as_deref().map(SqlZone::parse).transpose()?;
                Self::Moments { nanos: numbers(values)?, per_second: per_second(*unit), zone }
            }
            DataType::Date32 | DataType::Date64 => {
                let days = cast(&cast(values, &DataType::Date32)?, &DataType::Int32)?;
                let seconds = numbers(&days)?.unary(|day: i64| day * 86_400);
                Self::Moments { nanos: seconds, per_second: 1, zone: None }
            }
            DataType::Time32(_) | DataType::Time64(_) => {
                let nanos = numbers(&cast(values, &DataType::Time64(TimeUnit::Nanosecond))?)?;
                Self::Spans(nanos.iter().map(|n| n.map(|n| IntervalMonthDayNano::new(0, 0, n))).collect())
            }
            DataType::Interval(_) | DataType::Duration(_) => Self::Spans(interval::normal(values)?),
            other => return exec_err!("`to_char` takes no `{other}`"),
        })
    }

    pub(super) fn text(&mut self, template: &TimeTemplate, row: usize) -> Result<Option<String>> {
        let time = match self {
            Self::Moments { nanos, .. } if nanos.is_null(row) => return Ok(None),
            Self::Spans(spans) if spans.is_null(row) => return Ok(None),
            Self::Spans(spans) => Time::Span(spans.value(row)),
            Self::Moments { nanos, per_second, zone } => {
                let value = nanos.value(row);
                let (seconds, part) = (value.div_euclid(*per_second), value.rem_euclid(*per_second));
                let ahead = zone.as_mut().map(|zone| zone.ahead(seconds)).transpose()?;
                let abbreviation = zone.as_ref().map(|zone| zone.abbreviation(seconds)).transpose()?;
                let local = DateTime::from_timestamp(
                    seconds + ahead.unwrap_or(0),
                    (part * (1_000_000_000 / *per_second)) as u32,
                );
                let local = local.ok_or_else(|| DataFusionError::Execution("timestamp out of range".to_owned()))?;
                Time::Moment {
                    local: local.naive_utc(),
                    ahead: ahead.unwrap_or(0),
                    zone: abbreviation.unwrap_or_default(),
                }
            }
        };
        let mut text = String::new();
        for token in &template.0 {
            match token {
                TimeToken::Text(literal) => text.push_str(literal),
                TimeToken::Field(part) => text.push_str(&time.field(*part)?),
            }
        }
        Ok(Some(text))
    }
}

enum Time {
    Moment { local: NaiveDateTime, ahead: i64, zone: String },
    Span(IntervalMonthDayNano),
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const ROMAN: [&str; 12] = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"];

impl TemplatePart {
    fn number(self, number: i64, width: usize) -> String {
        let width = if self.fill { 0 } else { width };
        let digits = match number {
            0.. => format!("{number:0width$}"),
            _ => format!("-{:0width$}", number.unsigned_abs(), width = width),
        };
        let Some(case) = self.ordinal else { return digits };
        let ending = match (number.unsigned_abs() % 10, number.unsigned_abs() / 10 % 10) {
            (_, 1) => "th",
            (1, _) => "st",
            (2, _) => "nd",
            (3, _) => "rd",
            _ => "th",
        };
        format!("{digits}{}", if case == LetterCase::Upper { ending.to_uppercase() } else { ending.to_owned() })
    }

    fn word(self, word: &str, width: usize) -> String {
        let word = match self.case {
            LetterCase::Upper => word.to_uppercase(),
            LetterCase::Lower => word.to_lowercase(),
            LetterCase::Title => word.to_owned(),
        };
        if self.fill { word } else { format!("{word:width$}") }
    }
}

impl Time {
    fn field(&self, part: TemplatePart) -> Result<String> {
        match self {
            Self::Moment { local, ahead, zone } => Ok(moment(local, *ahead, zone, part)),
            Self::Span(span) => self::span(*span, part),
        }
    }
}

/// Fields of the time of day, which moments and spans share.
fn clock(hours: i64, minutes: i64, seconds: i64, nanos: i64, part: TemplatePart) -> Option<String> {
    Some(match part.field {
        TemplateField::Hour24 => part.number(hours, 2),
        TemplateField::Hour12 => part.number(if hours % 12 == 0 { 12 } else { hours % 12 }, 2),
        TemplateField::Minute => part.number(minutes, 2),
        TemplateField::Second => part.number(seconds, 2),
        TemplateField::Fraction(digits) => {
            let fraction = nanos / 1000 / 10_i64.pow(6 - digits);
            TemplatePart { fill: false, ..part }.number(fraction, digits as usize)
        }
        TemplateField::SecondOfDay => part.number(hours * 3600 + minutes * 60 + seconds, 0),
        TemplateField::Meridiem { dots } => {
            let word = match (hours % 24 >= 12, dots) {
                (true, true) => "P.M.",
                (true, false) => "PM",
                (false, true) => "A.M.",
                (false, false) => "AM",
            };
            part.word(word, 0)
        }
        _ => return None,
    })
}

/// The last digits of a year.
fn year(part: TemplatePart, year: i64, digits: u32) -> String {
    match digits {
        4 => part.number(year, 4),
        _ => part.number(year % 10_i64.pow(digits), digits as usize),
    }
}

fn moment(local: &NaiveDateTime, ahead: i64, zone: &str, part: TemplatePart) -> String {
    let nanos = i64::from(local.nanosecond());
    let time = clock(local.hour().into(), local.minute().into(), local.second().into(), nanos, part);
    if let Some(text) = time {
        return text;
    }
    let of_era = |year: i32| i64::from(if year > 0 { year } else { 1 - year });
    let week = local.iso_week();
    let day_of_week = local.weekday().num_days_from_sunday();
    let sign = if ahead < 0 { '-' } else { '+' };
    let (hours, minutes) = (ahead.abs() / 3600, ahead.abs() / 60 % 60);
    match part.field {
        TemplateField::Era { dots } => {
            let word = match (local.year() > 0, dots) {
                (true, true) => "A.D.",
                (true, false) => "AD",
                (false, true) => "B.C.",
                (false, false) => "BC",
            };
            part.word(word, 0)
        }
        TemplateField::Century => {
            let year = i64::from(local.year());
            let century = if year > 0 { (year - 1) / 100 + 1 } else { year / 100 - 1 };
            part.number(century, 2)
        }
        TemplateField::DayName { short } => {
            let name = DAYS[day_of_week as usize];
            if short { part.word(&name[..3], 0) } else { part.word(name, 9) }
        }
        TemplateField::DayOfYear => part.number(local.ordinal().into(), 3),
        TemplateField::Day => part.number(local.day().into(), 2),
        TemplateField::DayOfWeek => part.number(i64::from(day_of_week) + 1, 0),
        TemplateField::IsoDayOfWeek => part.number(local.weekday().number_from_monday().into(), 0),
        TemplateField::IsoDayOfYear => {
            let day = i64::from(week.week() - 1) * 7 + i64::from(local.weekday().number_from_monday());
            part.number(day, 3)
        }
        TemplateField::IsoWeek => part.number(week.week().into(), 2),
        TemplateField::IsoYear(digits) => year(part, of_era(week.year()), digits),
        // Day 1 of the common era is Julian day 1721426.
        TemplateField::Julian => part.number(i64::from(local.num_days_from_ce()) + 1_721_425, 0),
        TemplateField::Month => part.number(local.month().into(), 2),
        TemplateField::MonthName { short } => {
            let name = MONTHS[local.month0() as usize];
            if short { part.word(&name[..3], 0) } else { part.word(name, 9) }
        }
        TemplateField::Offset => {
            let hours = if part.fill { format!("{sign}{hours}") } else { format!("{sign}{hours:02}") };
            if minutes == 0 { hours } else { format!("{hours}:{minutes:02}") }
        }
        TemplateField::Quarter => part.number(i64::from(local.month0() / 3) + 1, 0),
        TemplateField::Roman => part.word(ROMAN[local.month0() as usize], 4),
        TemplateField::ZoneHours => format!("{sign}{hours:02}"),
        TemplateField::ZoneMinutes => format!("{minutes:02}"),
        TemplateField::ZoneName => part.word(zone, 0),
        TemplateField::Week => part.number(i64::from(local.ordinal0() / 7) + 1, 2),
        TemplateField::WeekOfMonth => part.number(i64::from(local.day0() / 7) + 1, 0),
        TemplateField::YearWithComma => {
            let year = of_era(local.year());
            format!("{},{:03}", year / 1000, year % 1000)
        }
        TemplateField::Year(digits) => year(part, of_era(local.year()), digits),
        _ => String::new(),
    }
}

fn span(span: IntervalMonthDayNano, part: TemplatePart) -> Result<String> {
    let seconds = span.nanoseconds / interval::SECOND;
    let nanos = span.nanoseconds % interval::SECOND;
    if let Some(text) = clock(seconds / 3600, seconds / 60 % 60, seconds % 60, nanos, part) {
        return Ok(text);
    }
    let (years, months) = (i64::from(span.months / 12), i64::from(span.months % 12));
    Ok(match part.field {
        TemplateField::Year(digits) => year(part, years, digits),
        TemplateField::Month => part.number(months, 2),
        TemplateField::Day => part.number(span.days.into(), 2),
        TemplateField::DayOfYear => part.number(i64::from(span.months) * 30 + i64::from(span.days), 3),
        TemplateField::Quarter => part.number(if months == 0 { 1 } else { (months - 1) / 3 + 1 }, 0),
        _ => return exec_err!("invalid format specification for an interval value"),
    })
}
