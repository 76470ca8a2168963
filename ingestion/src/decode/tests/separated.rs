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
            (",,,,", Err("column `id` is NOT NULL and absent")),
            ("NA,,,,", Err("column `id` is NOT NULL and absent")),
            ("one,,,,", Err(r#"column `id`: "one" is not a BIGINT"#)),
            ("1,,dear,,", Err(r#"column `price`: "dear" is not a DECIMAL(10, 2)"#)),
            ("1,,,maybe,", Err(r#"column `open`: "maybe" is not a BOOLEAN"#)),
            ("1,,,,noon", Err(r#"column `at`: "noon" is not a TIMESTAMP(3)"#)),
        ],
    );
}

#[test]
fn of_one_column_nothing_is_a_null() {
    let one = |field: Field| decoder(stream(Format::Csv, vec![field]));
    let column = column("x", DataType::Utf8);
    check(&mut one(column.clone().with_nullable(true)), &[("", Ok("null")), ("  ", Ok("  ")), ("a", Ok("a"))]);
    check(&mut one(column.with_nullable(false)), &[("", Err("column `x` is NOT NULL and absent"))]);
}

#[test]
fn nested_columns_are_refused() {
    let nested = stream(Format::Csv, vec![column("x", list_of(DataType::Int64))]);
    let error = Decoder::new(Arc::new(nested)).unwrap_err().to_string();
    assert!(error.contains("a CSV field cannot hold a BIGINT[]"), "{error}");
}
