//! Timestamps as they are written.

use super::*;

fn at(unit: TimeUnit, zone: Option<Tz>) -> Stream {
    let stream = json_x(DataType::Timestamp(unit, zone.map(|tz| tz.name().into())));
    match zone {
        Some(tz) => in_zone(stream, tz),
        None => stream,
    }
}

#[test]
fn iso_texts_and_numbers() {
    check(
        &mut decoder(at(MS, None)),
        &[
            (r#"{"x":"2011-02-06T14:02:42.123Z"}"#, Ok("2011-02-06T14:02:42.123")),
            (r#"{"x":"2011-02-06T14:02:42.1234"}"#, Ok("2011-02-06T14:02:42.123")),
            (r#"{"x":"2011-02-06T14:02:42.1235"}"#, Ok("2011-02-06T14:02:42.124")),
            (r#"{"x":"2011-02-06 14:02:42"}"#, Ok("2011-02-06T14:02:42")),
            (r#"{"x":"2011-02-06T14:02"}"#, Ok("2011-02-06T14:02:00")),
            (r#"{"x":"2011-02-06"}"#, Ok("2011-02-06T00:00:00")),
            (r#"{"x":"2011-02-06T14:02:42-05:00"}"#, Ok("2011-02-06T19:02:42")),
            (r#"{"x":"2011-02-06T14:02:42+0530"}"#, Ok("2011-02-06T08:32:42")),
            (r#"{"x":"2011-02-06 14:02:42 -08"}"#, Ok("2011-02-06T22:02:42")),
            (r#"{"x":"2011-02-06 14:02:42 America/New_York"}"#, Ok("2011-02-06T19:02:42")),
            (r#"{"x":"2016-12-31T23:59:60Z"}"#, Ok("2017-01-01T00:00:00")),
            (r#"{"x":"1969-12-31T23:59:59.999Z"}"#, Ok("1969-12-31T23:59:59.999")),
            (r#"{"x":1297000962123}"#, Ok("2011-02-06T14:02:42.123")),
            (r#"{"x":"1297000962123"}"#, Ok("2011-02-06T14:02:42.123")),
            (r#"{"x":1.297000962123e12}"#, Ok("2011-02-06T14:02:42.123")),
            (r#"{"x":-1}"#, Ok("1969-12-31T23:59:59.999")),
            (r#"{"x":""}"#, Ok("null")),
            (r#"{"x":null}"#, Ok("null")),
            (r#"{"x":"2011-02-30"}"#, Err("column `x` is not a TIMESTAMP(3): 2011-02-30")),
            (r#"{"x":"2011-02-06T24:00:00"}"#, Err("is not a TIMESTAMP(3)")),
            (r#"{"x":"2011-02-06T14:02:42.Z"}"#, Err("is not a TIMESTAMP(3)")),
            (r#"{"x":"2011-02-06T14:02:42é"}"#, Err("is not a TIMESTAMP(3)")),
            (r#"{"x":"2011-02-0é"}"#, Err("is not a TIMESTAMP(3)")),
            (r#"{"x":"02/06/2011"}"#, Err("is not a TIMESTAMP(3)")),
            (r#"{"x":true}"#, Err("column `x` is not a TIMESTAMP(3): true")),
            (r#"{"x":{"a":1}}"#, Err(r#"column `x` is not a TIMESTAMP(3): {"a":1}"#)),
        ],
    );
}

#[test]
fn numbers_count_the_streams_unit() {
    let mut seconds = at(TimeUnit::Microsecond, None);
    seconds.options.timestamp_unit = TimeUnit::Second;
    check(
        &mut decoder(seconds),
        &[
            (r#"{"x":1297000962}"#, Ok("2011-02-06T14:02:42")),
            (r#"{"x":1297000962.5}"#, Ok("2011-02-06T14:02:42.500")),
            (r#"{"x":-0.5}"#, Ok("1969-12-31T23:59:59.500")),
            (r#"{"x":1e300}"#, Err("beyond the years 1 to 9999")),
            // PostgreSQL's to_timestamp gives the same.
            (r#"{"x":1618540600.943}"#, Ok("2021-04-16T02:36:40.943")),
            (r#"{"x":"1618540600.943000001"}"#, Ok("2021-04-16T02:36:40.943")),
            // Read by its digits, of which a double has fewer.
            (r#"{"x":"1618540600.9430005001"}"#, Ok("2021-04-16T02:36:40.943001")),
            (r#"{"x":1.618540600943e9}"#, Ok("2021-04-16T02:36:40.943")),
            (r#"{"x":-0.000001}"#, Ok("1969-12-31T23:59:59.999999")),
            (r#"{"x":-0.000000001}"#, Ok("1970-01-01T00:00:00")),
        ],
    );
}

#[test]
fn fractions_are_exact_to_the_unit() {
    let mut stream = at(MS, None);
    stream.options.timestamp_unit = TimeUnit::Second;
    let mut decoder = decoder(stream);
    check(&mut decoder, &[(r#"{"x":1772773683.843}"#, Ok("2026-03-06T05:08:03.843"))]);
    for ms in 0..1000 {
        let value = format!(r#"{{"x":1772773683.{ms:03}}}"#);
        assert_eq!(outcome(&mut decoder, &value), Ok(format!("2026-03-06T05:08:03{}", fraction(ms))), "{value}");
    }
}

/// As arrow prints milliseconds.
fn fraction(ms: u32) -> String {
    if ms == 0 { String::new() } else { format!(".{ms:03}") }
}

/// The answers are PostgreSQL 15's.
#[test]
fn what_is_finer_than_a_microsecond_is_rounded() {
    let mut stream = at(TimeUnit::Microsecond, None);
    stream.options.timestamp_unit = TimeUnit::Nanosecond;
    check(
        &mut decoder(stream),
        &[
            (r#"{"x":"2026-03-01T00:00:00.123456499Z"}"#, Ok("2026-03-01T00:00:00.123456")),
            (r#"{"x":"2026-03-01T00:00:00.123456500Z"}"#, Ok("2026-03-01T00:00:00.123456")),
            (r#"{"x":"2026-03-01T00:00:00.123457500Z"}"#, Ok("2026-03-01T00:00:00.123458")),
            (r#"{"x":"2025-12-31T23:59:59.9999999-05:00"}"#, Ok("2026-01-01T05:00:00")),
            (r#"{"x":"1969-12-31T23:59:59.999999999Z"}"#, Ok("1970-01-01T00:00:00")),
            (r#"{"x":1772323200123456789}"#, Ok("2026-03-01T00:00:00.123457")),
            (r#"{"x":"1677-09-21T00:12:43.145224191Z"}"#, Ok("1677-09-21T00:12:43.145224")),
            (r#"{"x":"2262-04-12"}"#, Ok("2262-04-12T00:00:00")),
            (r#"{"x":"0001-01-01"}"#, Ok("0001-01-01T00:00:00")),
            (r#"{"x":"9999-12-31T23:59:59.999999"}"#, Ok("9999-12-31T23:59:59.999999")),
            (r#"{"x":"9999-12-31T23:59:59.9999999"}"#, Err("beyond the years 1 to 9999")),
        ],
    );
    // The local time is rounded first, and may then not exist: at 2 in the morning it became 3.
    check(
        &mut decoder(at(TimeUnit::Microsecond, Some(America::New_York))),
        &[(r#"{"x":"2026-03-08T01:59:59.9999999"}"#, Ok("2026-03-08T03:00:00-04:00"))],
    );
}

#[test]
fn a_column_of_nanoseconds_is_refused() {
    for data_type in [DataType::Timestamp(TimeUnit::Nanosecond, None), DataType::Time64(TimeUnit::Nanosecond)] {
        let error = Decoder::new(Arc::new(json_x(data_type))).unwrap_err().to_string();
        assert!(error.contains("nanoseconds are not kept; declare it TIME"), "{error}");
    }
}

#[test]
fn naive_times_are_local_to_the_streams_zone() {
    check(
        &mut decoder(at(MS, Some(America::New_York))),
        &[
            (r#"{"x":"2011-02-06T14:02:42.000"}"#, Ok("2011-02-06T14:02:42-05:00")),
            (r#"{"x":"2011-07-06"}"#, Ok("2011-07-06T00:00:00-04:00")),
            (r#"{"x":"2011-02-06T14:02:42Z"}"#, Ok("2011-02-06T09:02:42-05:00")),
            (r#"{"x":0}"#, Ok("1969-12-31T19:00:00-05:00")),
            // The clocks go back over it: the earlier one, still summer time.
            (r#"{"x":"2013-11-03T01:30:00"}"#, Ok("2013-11-03T01:30:00-04:00")),
            // They go forward over it: so does the time.
            (r#"{"x":"2013-03-10T02:30:00"}"#, Ok("2013-03-10T03:30:00-04:00")),
        ],
    );
}

#[test]
fn the_streams_formats_come_first() {
    let mut stream = at(MS, Some(America::New_York));
    stream.options.timestamp_formats =
        ["%m/%d/%Y %I:%M:%S %p", "%Y%m%d", "%d %b %Y %H:%M %z", "@%s"].map(str::to_owned).to_vec();
    check(
        &mut decoder(stream),
        &[
            (r#"{"x":"02/06/2011 02:02:42 PM"}"#, Ok("2011-02-06T14:02:42-05:00")),
            (r#"{"x":"20110206"}"#, Ok("2011-02-06T00:00:00-05:00")),
            (r#"{"x":"06 Feb 2011 14:02 +0000"}"#, Ok("2011-02-06T09:02:00-05:00")),
            (r#"{"x":"@0"}"#, Ok("1969-12-31T19:00:00-05:00")),
            (r#"{"x":"2011-02-06T14:02:42"}"#, Ok("2011-02-06T14:02:42-05:00")),
            (r#"{"x":"1297000962123"}"#, Ok("2011-02-06T09:02:42.123-05:00")),
        ],
    );
    let mut bad = at(MS, None);
    bad.options.timestamp_formats = vec!["%Q".to_owned()];
    let error = Decoder::new(Arc::new(bad)).unwrap_err().to_string();
    assert!(error.contains("column `x`") && error.contains("`%Q`"), "{error}");
}
