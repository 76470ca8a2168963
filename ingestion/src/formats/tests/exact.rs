//! Right or a dead letter: what a number, a date or a word must not be taken for. Expected values are PostgreSQL's
//! (`json_populate_record`, casts of text) unless said.

use arrow::datatypes::{Float64Type, Int32Type};

use super::*;

fn csv_x(data_type: DataType) -> Stream {
    // A second column, since of one nothing is a null.
    stream(Format::Csv, vec![column("x", data_type), column("y", DataType::Utf8)])
}

/// Decodes a text as a JSON string and as a CSV field, which gives the same.
fn of_text(data_type: &DataType, text: &str) -> Result<String, String> {
    let json = outcome(&mut decoder(json_x(data_type.clone())), &format!(r#"{{"x":"{text}"}}"#));
    let csv = outcome(&mut decoder(csv_x(data_type.clone())), &format!("{text},"));
    assert_eq!(json.clone(), csv.map(|row| row.trim_end_matches("|null").to_owned()), "{text} as {data_type}");
    json
}

#[test]
fn a_number_with_a_fraction_is_no_integer() {
    for data_type in [DataType::Int8, DataType::Int32, DataType::Int64, DataType::UInt64] {
        let mut decoder = decoder(json_x(data_type.clone()));
        for number in ["3.7", "0.5", "-0.5", "37e-1", "1e-3", "3.00000000000000000000001"] {
            let error = outcome(&mut decoder, &format!(r#"{{"x":{number}}}"#)).unwrap_err();
            assert!(error.starts_with("column `x` is not a") && error.ends_with(number), "{error}");
            assert!(of_text(&data_type, number).is_err(), "{number}");
        }
        // By hand: a whole number is one however it is written.
        for number in ["3", "3.0", "0.3e1", "30e-1", "3.000"] {
            assert_eq!(outcome(&mut decoder, &format!(r#"{{"x":{number}}}"#)), Ok("3".to_owned()), "{number}");
            assert_eq!(of_text(&data_type, number), Ok("3".to_owned()));
        }
    }
    let mut decoder = decoder(json_x(DataType::Int64));
    check(
        &mut decoder,
        &[
            (r#"{"x":9007199254740993.0}"#, Ok("9007199254740993")),
            (r#"{"x":-9223372036854775808}"#, Ok("-9223372036854775808")),
            (r#"{"x":1e19}"#, Err("column `x` is not a BIGINT: 1e19")),
        ],
    );
}

#[test]
fn a_number_beyond_a_float_is_not_infinite() {
    for (data_type, far) in [(DataType::Float64, "1e400"), (DataType::Float32, "1e39")] {
        let mut decoder = decoder(json_x(data_type.clone()));
        for number in [far.to_owned(), format!("-{far}")] {
            assert!(outcome(&mut decoder, &format!(r#"{{"x":{number}}}"#)).is_err(), "{number}");
            assert!(of_text(&data_type, &number).is_err(), "{number}");
        }
        for (text, value) in [("Infinity", "inf"), ("-inf", "-inf"), ("1e38", "1e38"), ("-NaN", "NaN")] {
            assert_eq!(of_text(&data_type, text), Ok(value.to_owned()));
        }
    }
    // In good company, and nested; what is lenient of the parser is not lenient of the value.
    let nested = list_of(struct_of(vec![column("v", DataType::Float64)]));
    let mut decoder = decoder(json_x(nested));
    let values = [
        r#"{"x":[{"v":1}]}"#,
        r#"{"x":[{"v":2},{"v":1e999}]}"#,
        r#"{"x":[{"v":"inf"}]}"#,
        r#"{"x":[{"v":1e999}] "y":1}"#,
    ];
    let decoded = decode(&mut decoder, &values);
    assert_eq!((row_text(&decoded, 0), row_text(&decoded, 1)), ("[{v: 1.0}]".to_owned(), "[{v: inf}]".to_owned()));
    assert_eq!(decoded.dead[0].reason(), "column `x[].v` is not a DOUBLE: 1e999");
    assert_eq!(decoded.dead.len(), 2);
}

#[test]
fn there_is_one_nan() {
    for data_type in [DataType::Float64, list_of(DataType::Float64)] {
        let listed = data_type.is_nested();
        let mut decoder = decoder(json_x(data_type));
        let values = ["NaN", "-NaN", "nan"].map(|nan| match listed {
            true => format!(r#"{{"x":["{nan}"]}}"#),
            false => format!(r#"{{"x":"{nan}"}}"#),
        });
        let decoded = decode(&mut decoder, &values.each_ref().map(String::as_str));
        let column = &decoded.rows["x"];
        let floats = if listed { column.as_list::<i32>().values() } else { column };
        let bits = floats.as_primitive::<Float64Type>().values().iter().map(|value| value.to_bits());
        assert_eq!(bits.collect::<Vec<_>>(), [f64::NAN.to_bits(); 3]);
    }
}

#[test]
fn dates_and_times_can_be_printed() {
    let (date, time) = (DataType::Date32, DataType::Time64(TimeUnit::Microsecond));
    let mut dates = decoder(json_x(date.clone()));
    check(
        &mut dates,
        &[
            (r#"{"x":20260301}"#, Err("column `x` is not a DATE: 20260301")),
            (r#"{"x":20513}"#, Err("column `x` is not a DATE: 20513")),
            (r#"{"x":"20260301"}"#, Ok("2026-03-01")),
            (r#"{"x":"2026-03-01T23:30:00-05:00"}"#, Ok("2026-03-01")),
        ],
    );
    for text in ["+57440-10-27", "0000-01-01", "2026-02-30", "-0001-01-01"] {
        assert!(of_text(&date, text).is_err(), "{text}");
    }
    assert_eq!(of_text(&date, "0001-01-01"), Ok("0001-01-01".to_owned()));
    assert_eq!(of_text(&date, "9999-12-31"), Ok("9999-12-31".to_owned()));
    for text in ["23:59:60", "24:00:00", "1430", "86399"] {
        assert!(of_text(&time, text).is_err(), "{text}");
    }
    check(&mut decoder(json_x(time.clone())), &[(r#"{"x":86399}"#, Err("column `x` is not a TIME: 86399"))]);
    for text in ["23:59:59.9999994", "23:59:59.999999999"] {
        assert_eq!(of_text(&time, text), Ok("23:59:59.999999".to_owned()));
    }
}

#[test]
fn timestamps_have_years_of_four_digits() {
    for unit in [TimeUnit::Second, MS, TimeUnit::Microsecond] {
        let mut stream = json_x(DataType::Timestamp(unit, None));
        stream.options.timestamp_unit = TimeUnit::Second;
        check(
            &mut decoder(stream),
            &[
                (r#"{"x":253402300799}"#, Ok("9999-12-31T23:59:59")),
                (r#"{"x":-62135596800}"#, Ok("0001-01-01T00:00:00")),
                (r#"{"x":253402300800}"#, Err("column `x` is beyond the years 1 to 9999")),
                (r#"{"x":-62135596801}"#, Err("beyond the years 1 to 9999")),
                (r#"{"x":9223372036854775807}"#, Err("beyond the years 1 to 9999")),
                (r#"{"x":-9223372036854775808}"#, Err("beyond the years 1 to 9999")),
                (r#"{"x":1e30}"#, Err("beyond the years 1 to 9999")),
                (r#"{"x":"0000-12-31"}"#, Err("beyond the years 1 to 9999")),
            ],
        );
    }
}

#[test]
fn words_of_pandas_and_excel_are_booleans() {
    for (text, value) in [("True", true), ("FALSE", false), ("yes", true), ("off", false), ("1", true), ("t", true)] {
        assert_eq!(of_text(&DataType::Boolean, text), Ok(value.to_string()));
    }
    assert!(of_text(&DataType::Boolean, "maybe").is_err());
}

#[test]
fn what_is_wrong_is_the_same_for_all_and_its_value_apart() {
    let point = struct_of(vec![column("lat", DataType::Float64), column("n", DataType::Int32)]);
    let mut decoder = decoder(json_x(list_of(point)));
    let values: Vec<String> = (0..200)
        .map(|i| match i % 3 {
            0 => format!(r#"{{"x":[{{"n":{i}.5}}]}}"#),
            1 => format!(r#"{{"x":[{{"lat":"north {i}"}}]}}"#),
            _ => format!(r#"{{"x":[{{"lat":1.5}}]{}"#, " ".repeat(i)),
        })
        .collect();
    let decoded = decode(&mut decoder, &values.iter().map(String::as_str).collect::<Vec<_>>());
    let errors: std::collections::BTreeSet<&str> = decoded.dead.iter().map(|dead| dead.error.as_str()).collect();
    let expected = ["column `x[].lat` is not a DOUBLE", "column `x[].n` is not an INT", "not a JSON object"];
    assert_eq!(errors.into_iter().collect::<Vec<_>>(), expected);
    assert_eq!(decoded.dead[3].detail.as_deref(), Some("3.5"));
}

#[test]
fn an_extreme_of_each_type_can_be_printed() {
    use DataType as D;
    let extremes = [
        (D::Int8, "-128"),
        (D::UInt64, "18446744073709551615"),
        (D::Int64, "-9223372036854775808"),
        (D::Float32, "3.4028235e38"),
        (D::Float64, "1.7976931348623157e308"),
        (D::Decimal128(38, 0), "99999999999999999999999999999999999999"),
        (D::Decimal256(76, 38), "-99999999999999999999999999999999999999.00000000000000000000000000000000000001"),
        (D::Date32, "9999-12-31"),
        (D::Time32(TimeUnit::Second), "23:59:59"),
        (D::Time64(TimeUnit::Microsecond), "23:59:59.999999"),
        (D::Timestamp(TimeUnit::Second, None), "0001-01-01T00:00:00"),
        (D::Timestamp(TimeUnit::Microsecond, None), "9999-12-31T23:59:59.999999"),
    ];
    for (data_type, text) in extremes {
        assert_eq!(of_text(&data_type, text), Ok(text.to_owned()), "{data_type}");
    }
    // Beyond a zone's own midnight as well.
    let zoned = in_zone(json_x(D::Timestamp(MS, Some("Pacific/Kiritimati".into()))), chrono_tz::Pacific::Kiritimati);
    check(&mut decoder(zoned), &[(r#"{"x":"9999-12-31T23:00:00Z"}"#, Ok("+10000-01-01T13:00:00+14:00"))]);
}

#[test]
fn integers_are_read_beside_bad_ones() {
    let values: Vec<String> = (0..300).map(|i| format!(r#"{{"x":{i}{}}}"#, if i == 150 { ".5" } else { "" })).collect();
    let decoded = decode(&mut decoder(json_x(DataType::Int32)), &values.iter().map(String::as_str).collect::<Vec<_>>());
    let column = decoded.rows["x"].as_primitive::<Int32Type>();
    assert_eq!((column.len(), column.value(149), column.value(150)), (299, 149, 151));
    assert_eq!(decoded.dead[0].offset, 10 + 3 * 150);
}
