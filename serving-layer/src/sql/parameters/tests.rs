use arrow::datatypes::TimeUnit;

use super::literal::elements;
use super::*;

fn shown(text: &str, wanted: &DataType) -> String {
    match literal(text, wanted) {
        Ok(value) => value.to_string(),
        Err(error) => format!("error: {}", error.message),
    }
}

/// The expected values are PostgreSQL 15's: `SELECT '..'::text[]`.
#[test]
fn array_literals() {
    let read =
        |text: &str| elements(text).map(|all| all.into_iter().map(|e| e.unwrap_or("<null>".to_owned())).collect());
    let some = |elements: &[&str]| Some(elements.iter().map(|e| (*e).to_owned()).collect::<Vec<_>>());
    assert_eq!(read("{}"), some(&[]));
    assert_eq!(read("{\"\",Alpha}"), some(&["", "Alpha"]));
    assert_eq!(read("{a,\"b,c\",NULL}"), some(&["a", "b,c", "<null>"]));
    assert_eq!(read("{\"NULL\",null}"), some(&["NULL", "<null>"]));
    assert_eq!(read(r#"{ a b , "q\"\\" ,\ }"#), some(&["a b", "q\"\\", " "]));
    for wrong in ["", "a", "{", "{a,}", "{,a}", "{a}b}", "{\"a}", "{\"a\"b}", "{{1},{2}}", "{a\\"] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
}

#[test]
fn decimals_keep_what_is_written() {
    for (text, value) in [
        ("1.50", ScalarValue::Decimal128(Some(150), 3, 2)),
        ("-0.001", ScalarValue::Decimal128(Some(-1), 3, 3)),
        ("1e3", ScalarValue::Decimal128(Some(1000), 4, 0)),
        ("12.5E-2", ScalarValue::Decimal128(Some(125), 3, 3)),
        ("0", ScalarValue::Decimal128(Some(0), 1, 0)),
    ] {
        assert_eq!(decimal(text), Some(value), "{text}");
    }
    let wide = decimal("12345678901234567890123456789012345678901234567890.0123456789").unwrap();
    assert_eq!(wide.data_type(), DataType::Decimal256(60, 10));
    for wrong in ["", "-", ".", "1.2.3", "1e", "abc", "1e99999", "1e100"] {
        assert_eq!(decimal(wrong), None, "{wrong}");
    }
}

#[test]
fn moments() {
    let naive = DataType::Timestamp(TimeUnit::Microsecond, None);
    let lisbon = DataType::Timestamp(TimeUnit::Microsecond, Some("Europe/Lisbon".into()));
    for (text, wanted, expected) in [
        ("2026-07-01", &naive, "1782864000000000"),
        ("2026-07-01 12:00:00.5", &naive, "1782907200500000"),
        // Without a zone the clock is what counts, as in PostgreSQL and as JDBC relies on.
        ("2026-07-01 12:00:00+05", &naive, "1782907200000000"),
        ("2026-07-01T12:00:00Z", &lisbon, "1782907200000000"),
        ("2026-07-01 12:00:00", &lisbon, "1782903600000000"),
        ("2026-07-01 12:00:00 America/New_York", &lisbon, "1782921600000000"),
        ("2026-07-01 +02", &DataType::Date32, "2026-07-01"),
        ("12:34:56.789", &DataType::Time64(TimeUnit::Microsecond), "45296789000"),
        // Rounded as PostgreSQL does it.
        ("2026-07-01 12:00:00.1234565", &naive, "1782907200123456"),
        ("2026-07-01 11:59:59.9999995", &naive, "1782907200000000"),
        ("9999-12-31 23:59:59.999999", &naive, "253402300799999999"),
        ("0001-01-01", &naive, "-62135596800000000"),
    ] {
        assert_eq!(shown(text, wanted), expected, "{text} as {wanted}");
    }
    for wrong in ["", "2026", "2026-02-30", "2026-07-01 25:00", "2026-07-01 12:61", "1-2-3", "now"] {
        assert!(shown(wrong, &naive).starts_with("error: invalid parameter"), "{wrong}: {}", shown(wrong, &naive));
    }
}

#[test]
fn intervals() {
    let wanted = DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano);
    let same = |a: &str, b: &str| assert_eq!(literal(a, &wanted).unwrap(), literal(b, &wanted).unwrap(), "{a}");
    same("1 day, 2:03:04.5", "P1DT2H3M4.5S");
    same("1 year 2 mons", "14 months");
    same("0 years 0 mons 1 days 0 hours 0 mins 0.0 secs", "24 hours 1 day -24 h");
    same("1.5 days", "1 day 12:00");
    same("2w", "14 days");
    same("3 days ago", "-3 days");
    same("90", "00:01:30");
    for wrong in ["", "abc", "1 lightyear", "P", "1.5 months", "1:2:3:4", "99999999999 days"] {
        assert!(literal(wrong, &wanted).is_err(), "{wrong}");
    }
}

#[test]
fn values_that_do_not_fit_stay_what_they_are() {
    let fitted = |value: ScalarValue, wanted: &DataType| fit(value, Some(wanted)).unwrap();
    assert_eq!(fitted(ScalarValue::Int16(Some(5)), &DataType::Int64), ScalarValue::Int64(Some(5)));
    assert_eq!(fitted(ScalarValue::Int64(Some(300)), &DataType::Int8), ScalarValue::Int64(Some(300)));
    assert_eq!(fitted(ScalarValue::Float64(Some(2.5)), &DataType::Int64), ScalarValue::Float64(Some(2.5)));
    let decimal = DataType::Decimal128(12, 2);
    assert_eq!(fitted(ScalarValue::Float64(Some(0.1)), &decimal), ScalarValue::Decimal128(Some(1), 1, 1));
    assert_eq!(fitted(ScalarValue::Int32(Some(7)), &decimal), ScalarValue::Int32(Some(7)));
    assert_eq!(fitted(ScalarValue::Utf8(None), &DataType::Int64), ScalarValue::Int64(None));
    assert_eq!(fitted(ScalarValue::Utf8(Some("1.999".into())), &decimal), ScalarValue::Decimal128(Some(1999), 4, 3));
    assert!(fit(ScalarValue::Utf8(Some("2.5".into())), Some(&DataType::Int64)).is_err());
    assert!(fit(ScalarValue::Utf8(Some("300".into())), Some(&DataType::Int8)).is_err());
}
