//! CSV values.

use super::*;

fn csv_stream() -> Stream {
    let mut stream = stream(
        Format::Csv,
        vec![
            Field::new("id", DataType::Int64, false),
            column("name", DataType::Utf8),
            column("price", DataType::Decimal128(10, 2)),
            column("open", DataType::Boolean),
            column("at", DataType::Timestamp(MS, None)),
        ],
    );
    stream.options.null_texts = vec!["NA".to_owned()];
    stream
}

#[test]
fn lines_decode_into_the_declared_columns() {
    check(
        &mut decoder(csv_stream()),
        &[
            ("1,tea,2.5,true,2011-02-06", Ok("1|tea|2.50|true|2011-02-06T00:00:00")),
            ("1,\"two\nlines, one field\",,,", Ok("1|two\nlines, one field|null|null|null")),
            ("1,\"\",NA,NA,NA\r\n", Ok("1|null|null|null|null")),
            ("1,,,", Err("the line has 4 fields, the stream 5 columns")),
            ("1,,,,,", Err("the line has 6 fields, the stream 5 columns")),
            ("1,,,,\n2,,,,", Err("more than one line")),
            ("1,\"tea,,,", Err("quotes do not close")),
            ("", Err("the value is empty")),
            (",,,,", Err("column `id` is NOT NULL and empty")),
            ("NA,,,,", Err("column `id` is NOT NULL and null: NA")),
            ("one,,,,", Err("column `id` is not a BIGINT: one")),
            ("1,,dear,,", Err("column `price` is not a DECIMAL(10, 2): dear")),
            ("1,,,maybe,", Err("column `open` is not a BOOLEAN: maybe")),
            ("1,,,,noon", Err("column `at` is not a TIMESTAMP(3): noon")),
        ],
    );
}

#[test]
fn of_one_column_nothing_is_a_null() {
    let one = |field: Field| decoder(stream(Format::Csv, vec![field]));
    let column = column("x", DataType::Utf8);
    check(&mut one(column.clone().with_nullable(true)), &[("", Ok("null")), ("  ", Ok("  ")), ("a", Ok("a"))]);
    check(&mut one(column.with_nullable(false)), &[("", Err("column `x` is NOT NULL and empty"))]);
}

#[test]
fn fields_may_have_another_delimiter() {
    let mut stream = csv_stream();
    stream.options.delimiter = Some(b';');
    check(
        &mut decoder(stream),
        &[
            ("1;a,b;2.5;;", Ok("1|a,b|2.50|null|null")),
            ("1;\"a;b\";;;", Ok("1|a;b|null|null|null")),
            ("1,a,2.5,,", Err("the line has 1 fields, the stream 5 columns")),
        ],
    );
}

#[test]
fn a_line_is_the_text_of_its_column() {
    let mut decoder = decoder(stream(Format::Text, vec![Field::new("line", DataType::Utf8, false)]));
    let cases =
        ["127.0.0.1 - \"GET /a,b\" 200", "{\"a\":1}", "", "  x ", "a\nb"].map(|line| (line, Ok::<_, &str>(line)));
    check(&mut decoder, &cases);
    let values: [Option<&[u8]>; 3] = [Some(b"\xff"), None, Some(b"x")];
    let decoded = decoder.decode(3, &fetched(&values)).unwrap();
    assert_eq!((decoded.dead.len(), row_text(&decoded, 0)), (2, "x".to_owned()));
}

#[test]
fn nested_columns_are_refused() {
    let nested = stream(Format::Csv, vec![column("x", list_of(DataType::Int64))]);
    let error = Decoder::new(Arc::new(nested)).unwrap_err().to_string();
    assert!(error.contains("a CSV field cannot hold a BIGINT[]"), "{error}");
}
