//! Single JSON values.

use super::*;

#[test]
fn scalars_decode_from_numbers_and_from_strings() {
    check(
        &mut decoder(json_x(DataType::Int64)),
        &[
            (r#"{"x":5}"#, Ok("5")),
            (r#"{"x":"-5"}"#, Ok("-5")),
            (r#"{"x":1e3}"#, Ok("1000")),
            (r#"{"x":null}"#, Ok("null")),
            (r#"{"x":""}"#, Ok("null")),
            (r#"{"y":"abc"}"#, Ok("null")),
            ("{}", Ok("null")),
            (" \n{\"x\":9223372036854775807}\r\n", Ok("9223372036854775807")),
            (r#"{"x":9223372036854775808}"#, Err("column `x` is not a BIGINT: 9223372036854775808")),
            (r#"{"x":"abc"}"#, Err("column `x` is not a BIGINT: abc")),
            (r#"{"x":true}"#, Err("column `x` is not a BIGINT: true")),
            (r#"{"x":[5]}"#, Err("column `x` is not a BIGINT: [5]")),
            (r#"{"x":{"y":5}}"#, Err(r#"column `x` is not a BIGINT: {"y":5}"#)),
        ],
    );
    check(
        &mut decoder(json_x(DataType::Float64)),
        &[
            (r#"{"x":"40.77463408345861"}"#, Ok("40.77463408345861")),
            (r#"{"x":-7}"#, Ok("-7.0")),
            (r#"{"x":""}"#, Ok("null")),
            (r#"{"x":"40,7"}"#, Err("column `x` is not a DOUBLE: 40,7")),
        ],
    );
    check(
        &mut decoder(json_x(DataType::Boolean)),
        &[
            (r#"{"x":true}"#, Ok("true")),
            (r#"{"x":"false"}"#, Ok("false")),
            (r#"{"x":""}"#, Ok("null")),
            (r#"{"x":1}"#, Err("column `x` is not a BOOLEAN: 1")),
        ],
    );
    check(
        &mut decoder(json_x(DataType::Decimal128(10, 2))),
        &[
            (r#"{"x":12.345}"#, Ok("12.35")),
            (r#"{"x":"1e3"}"#, Ok("1000.00")),
            (r#"{"x":""}"#, Ok("null")),
            (r#"{"x":1e99999}"#, Err("column `x` is not a DECIMAL(10, 2): 1e99999")),
            (r#"{"x":[1]}"#, Err("column `x` is not a DECIMAL(10, 2): [1]")),
        ],
    );
    check(
        &mut decoder(json_x(DataType::Date32)),
        &[
            (r#"{"x":"2011-02-06"}"#, Ok("2011-02-06")),
            (r#"{"x":""}"#, Ok("null")),
            (r#"{"x":"02/06/2011"}"#, Err("column `x` is not a DATE: 02/06/2011")),
        ],
    );
    check(
        &mut decoder(json_x(DataType::Time64(TimeUnit::Microsecond))),
        &[(r#"{"x":"14:02:42"}"#, Ok("14:02:42")), (r#"{"x":"25:00"}"#, Err("column `x` is not a TIME: 25:00"))],
    );
    check(&mut decoder(json_x(DataType::Int8)), &[(r#"{"x":300}"#, Err("column `x` is not a TINYINT: 300"))]);
}

#[test]
fn text_columns_hold_whatever_is_written() {
    for data_type in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View] {
        check(
            &mut decoder(json_x(data_type)),
            &[
                (r#"{"x":"a \"b\" \\ \u00e9\n"}"#, Ok("a \"b\" \\ é\n")),
                (r#"{"x":""}"#, Ok("")),
                (r#"{"x":1.50}"#, Ok("1.50")),
                (r#"{"x":false}"#, Ok("false")),
                (r#"{"x":{"lat": "4", "at":[1,2]}}"#, Ok(r#"{"lat": "4", "at":[1,2]}"#)),
                (r#"{"x":["\u00e9"]}"#, Ok(r#"["\u00e9"]"#)),
                (r#"{"\u0078":"escaped name"}"#, Ok("escaped name")),
                (r#"{"x":"\ud800"}"#, Err("column `x`")),
            ],
        );
    }
}

/// A pair of escapes is one character, whatever plane it is of, in values and in names.
#[test]
fn escaped_pairs_are_one_character() {
    let planes = (1..=16).flat_map(|plane| [plane << 16, (plane << 16) | 0xabcd, (plane << 16) | 0xfffd]);
    let characters: Vec<char> = planes.filter_map(char::from_u32).collect();
    let mut decoder = decoder(json_x(DataType::Utf8));
    for upper in [false, true] {
        let escaped = |character: char| {
            let mut halves = [0; 2];
            let halves = character.encode_utf16(&mut halves).iter();
            halves
                .map(|half| if upper { format!("\\u{half:04X}") } else { format!("\\u{half:04x}") })
                .collect::<String>()
        };
        for &character in &characters {
            let json = format!(r#"{{"{0}":1,"x":"a{0}\\{0}"}}"#, escaped(character));
            check(&mut decoder, &[(&json, Ok(&format!("a{character}\\{character}"))), (r#"{"x":"b"}"#, Ok("b"))]);
        }
    }
    check(&mut decoder, &[(r#"{"x":"\\ud840 is no escape"}"#, Ok(r"\ud840 is no escape"))]);
    check(&mut decoder, &[(r#"{"x":"\ud840"}"#, Err("column `x`"))]);
}

#[test]
fn nested_columns_decode() {
    let point = struct_of(vec![column("lat", DataType::Float64), column("at", DataType::Timestamp(MS, None))]);
    check(
        &mut decoder(json_x(point)),
        &[
            (r#"{"x":{"lat":"4.5","at":"2011-02-06","other":1}}"#, Ok("{lat: 4.5, at: 2011-02-06T00:00:00}")),
            (r#"{"x":{"lat":"","at":""}}"#, Ok("{lat: null, at: null}")),
            (r#"{"x":{}}"#, Ok("{lat: null, at: null}")),
            (r#"{"x":""}"#, Ok("null")),
            (r#"{"x":{"lat":"north"}}"#, Err("column `x.lat` is not a DOUBLE: north")),
            (r#"{"x":{"at":"noon"}}"#, Err("column `x.at` is not a TIMESTAMP(3): noon")),
            (r#"{"x":[1]}"#, Err("column `x` is not a STRUCT<lat DOUBLE, at TIMESTAMP(3)>: [1]")),
        ],
    );
    check(
        &mut decoder(json_x(list_of(list_of(DataType::Int32)))),
        &[
            (r#"{"x":[[1,"2"],[],null,[""]]}"#, Ok("[[1, 2], [], null, [null]]")),
            (r#"{"x":[]}"#, Ok("[]")),
            (r#"{"x":[1]}"#, Err("column `x[]` is not an INT[]: 1")),
            (r#"{"x":{}}"#, Err("column `x` is not an INT[][]: {}")),
        ],
    );
    let texts = list_of(struct_of(vec![column("t", DataType::Utf8)]));
    check(&mut decoder(json_x(texts)), &[(r#"{"x":[{"t":{"a":1}},{"t":"b"}]}"#, Ok(r#"[{t: {"a":1}}, {t: b}]"#))]);
}

#[test]
fn bad_items_of_lists_kill_their_own_row() {
    let mut decoder = decoder(json_x(list_of(DataType::Timestamp(MS, None))));
    let decoded = decode(
        &mut decoder,
        &[r#"{"x":[]}"#, r#"{"x":[1,2]}"#, r#"{"x":null}"#, r#"{"x":[]}"#, r#"{"x":[3,"noon"]}"#, r#"{"x":[4]}"#],
    );
    let dead: Vec<i64> = decoded.dead.iter().map(|dead| dead.offset).collect();
    assert_eq!(dead, [22]);
    assert_eq!(decoded.rows.num_rows(), 5);
}

#[test]
fn what_is_not_one_object_is_a_dead_letter() {
    check(
        &mut decoder(json_x(DataType::Int64)),
        &[
            ("", Err("the value is empty")),
            (" \n", Err("the value is empty")),
            ("5", Err("not a JSON object: invalid type: integer `5`, expected an object")),
            ("null", Err("not a JSON object: invalid type: null, expected an object")),
            ("\"x\"", Err("not a JSON object: invalid type: string")),
            (r#"[{"x":1}]"#, Err("not a JSON object: invalid type: sequence, expected an object")),
            (r#"{"x":1}{"x":2}"#, Err("not a JSON object: trailing characters")),
            (r#"{"x":1} trailing"#, Err("not a JSON object: trailing characters")),
            (r#"{"x":1"#, Err("not a JSON object: EOF while parsing an object")),
            (r#"{"x":"}"#, Err("not a JSON object: EOF while parsing a string")),
            (r#"{"x":nul}"#, Err("not a JSON object")),
            (r#"{"x" 1}"#, Err("not a JSON object: expected `:`")),
            ("<html>", Err("not a JSON object")),
        ],
    );
}

#[test]
fn values_that_are_no_text_or_absent_are_dead_letters() {
    let mut decoder = decoder(json_x(DataType::Utf8));
    let values: [Option<&[u8]>; 4] = [Some(b"{\"x\":\"a\"}"), None, Some(b"{\"x\":\"\xff\"}"), Some(b"{\"x\":\"b\"}")];
    let decoded = decoder.decode(3, &fetched(&values)).unwrap();
    assert_eq!((row_text(&decoded, 0), row_text(&decoded, 1)), ("a".to_owned(), "b".to_owned()));
    let expected = DeadLetter {
        offset: 13,
        timestamp_ms: 1,
        key: None,
        value: None,
        headers: None,
        error: "the record has no value".to_owned(),
        detail: None,
    };
    assert_eq!(decoded.dead[0], expected);
    assert_eq!(decoded.dead[1].reason(), "the value is not UTF-8: its byte 6 does not belong there");
    assert_eq!(decoded.dead[1].key.as_deref(), Some(b"key2".as_slice()));
    assert_eq!(decoded.dead[1].value.as_deref(), values[2]);
}

#[test]
fn depth_neither_crashes_nor_spoils_neighbours() {
    let arrays = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    for deep in [&arrays, &objects] {
        let undeclared = format!(r#"{{"y":{deep},"x":1}}"#);
        let declared = format!(r#"{{"x":{deep}}}"#);
        let unclosed = &declared[..declared.len() - 1];
        let values = [r#"{"x":7}"#, undeclared.as_str(), declared.as_str(), unclosed, r#"{"x":8}"#];

        let decoded = decode(&mut decoder(json_x(DataType::Int64)), &values);
        let rows: Vec<String> = (0..decoded.rows.num_rows()).map(|row| row_text(&decoded, row)).collect();
        assert_eq!(rows, ["7", "1", "8"]);
        assert_eq!(decoded.dead[0].error, "column `x` is not a BIGINT");
        assert!(decoded.dead[0].reason().ends_with(".."), "{}", decoded.dead[0].reason());
        assert_eq!(decoded.dead.len(), 2);

        let decoded = decode(&mut decoder(json_x(DataType::Utf8)), &values);
        assert_eq!(row_text(&decoded, 2), **deep);
        assert_eq!(decoded.dead.len(), 1);

        let decoded = decode(&mut decoder(json_x(list_of(list_of(DataType::Int64)))), &[&declared]);
        assert_eq!(decoded.dead.len(), 1);
    }
}

#[test]
fn absent_columns_that_are_not_null_are_dead_letters() {
    let columns =
        vec![Field::new("id", DataType::Int64, false), Field::new("at", DataType::Timestamp(MS, None), false)];
    check(
        &mut decoder(stream(Format::Json, columns)),
        &[
            (r#"{"id":1,"at":2}"#, Ok("1|1970-01-01T00:00:00.002")),
            (r#"{"at":2}"#, Err("column `id` is NOT NULL and absent")),
            (r#"{"id":"","at":2}"#, Err("column `id` is NOT NULL and empty")),
            (r#"{"id":null,"at":2}"#, Err("column `id` is NOT NULL and null")),
            (r#"{"id":7,"id":null,"at":2}"#, Err("column `id` is NOT NULL and null")),
            (r#"{"id":1,"at":""}"#, Err("column `at` is NOT NULL and empty")),
            (r#"{"id":1,"at":"noon"}"#, Err("column `at` is not a TIMESTAMP(3): noon")),
        ],
    );
}

#[test]
fn no_neighbours_are_needed_to_misalign() {
    // Three rows in three values, were they read as one text: but none of the three is one object.
    let attacks: [&[&str]; 4] = [
        &[r#"{"x":1}{"x":2}"#, r#"{"x":"}"#, r#"{"}"#],
        &[r#"{"y":[{"x":1}"#, r#"{"x":2}]}"#, r#"{"x":3}{"x":4}"#],
        &[r#"{"y":["]",{"x":1}"#, r#"{"x":2}]}"#, r#"{"x":3}{"x":4}"#],
        &[r#"{"y":{"x":1}"#, r#"{"x":2}}"#, r#"{"x":3}{"x":4}"#],
    ];
    for attack in attacks {
        let values: Vec<&str> =
            [r#"{"x":7}"#].into_iter().chain(attack.iter().copied()).chain([r#"{"x":8}"#]).collect();
        let decoded = decode(&mut decoder(json_x(DataType::Utf8)), &values);
        let offsets = decoded.rows["_offset"].as_primitive::<Int64Type>().values().to_vec();
        assert_eq!(offsets, [10, 10 + 3 * (values.len() as i64 - 1)], "{attack:?}");
        assert_eq!((row_text(&decoded, 0), row_text(&decoded, 1)), ("7".to_owned(), "8".to_owned()));
        assert_eq!(decoded.dead.len(), attack.len());
    }
}

#[test]
fn types_that_cannot_be_decoded_are_refused() {
    let refused = [
        (DataType::Interval(arrow::datatypes::IntervalUnit::DayTime), "is not supported; declare it VARCHAR"),
        (list_of(DataType::Null), "is not supported; declare it VARCHAR"),
        (struct_of(vec![Field::new("a", DataType::Int64, false)]), "`a` inside it is NOT NULL"),
    ];
    for (data_type, why) in refused {
        let error = Decoder::new(Arc::new(json_x(data_type))).unwrap_err().to_string();
        assert!(error.starts_with("stream `clicks`: column `x` cannot be decoded: ") && error.contains(why), "{error}");
    }
}

#[test]
fn own_columns_are_the_records_own() {
    let mut decoder = decoder(json_x(DataType::Int64));
    let read = fetched(&[Some(br#"{"x":1}"#), Some(br#"{"x":2}"#)]);
    let decoded = decoder.decode(3, &read).unwrap();
    assert_eq!(decoded.rows.schema(), decoder.schema());
    assert_eq!((decoded.partition, decoded.range), (3, read.range));
    let values = decoded.rows["_value"].as_binary::<i32>();
    assert_eq!(values.value_data().as_ptr(), read.records.values.value_data().as_ptr(), "copied");
    assert_eq!(decoded.rows["_key"].as_binary::<i32>(), &read.records.keys);
    assert_eq!(decoded.rows["_headers"].as_string::<i32>(), &read.records.headers);

    let nothing = decoder.decode(3, &fetched(&[])).unwrap();
    assert_eq!((nothing.rows.num_rows(), nothing.dead.len()), (0, 0));
    let slice = Fetched { records: read.records.slice(1, 1), offsets: read.offsets.slice(1, 1), ..read };
    assert_eq!(row_text(&decoder.decode(3, &slice).unwrap(), 0), "2");
}
