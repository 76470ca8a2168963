//! Any mix of good and bad records: each one's fate is its own.

use super::*;

/// Values of a JSON stream of `id BIGINT NOT NULL, v DOUBLE, t VARCHAR, at TIMESTAMP(3), l BIGINT[], d DATE`.
fn json_value() -> impl Strategy<Value = Option<Vec<u8>>> {
    let good = prop_oneof![
        (any::<i64>(), any::<f32>(), "[a-z \"{}\\[\\]\\\\é]{0,9}")
            .prop_map(|(id, v, t)| serde_json::json!({"id": id, "v": v, "t": t, "at": 5}).to_string()),
        (any::<u32>(), proptest::collection::vec(any::<u16>(), 0..3))
            .prop_map(|(id, l)| serde_json::json!({"id": id.to_string(), "l": l}).to_string()),
        (any::<u32>(), any::<u8>()).prop_map(|(id, a)| format!("{{\"id\":{id},\"v\":\"\",\"t\":{{\"a\":[{a}]}}}}\n")),
        any::<u8>().prop_map(|id| format!(r#"{{"id":{id} "t":"a comma is missing",}}"#)),
    ];
    let odd = prop_oneof![
        Just(r#"{"id":1}{"id":2}"#),
        Just(r#"{"id":""#),
        Just(r#"{""}"#),
        Just(r#"{"id":1,"l":[{"x":1}"#),
        Just(r#"{"id":2}]}"#),
        Just(r#"{"id":"one"}"#),
        Just(r#"{"id":1,"at":"noon"}"#),
        Just(r#"{"id":1,"v":[]}"#),
        Just(r#"{"v":1}"#),
        Just(r#"{"id":3.5}"#),
        Just(r#"{"id":1,"v":1e999}"#),
        Just(r#"{"id":true,"v":"inf","l":[1e999]}"#),
        Just(r#"{"id":null,"v":"-NaN"}"#),
        Just(r#"{"id":1,"d":20260301}"#),
        Just(r#"{"d":20260301,"id":"one"}"#),
        Just(r#"{"d":20513,"id":"one"}"#),
        Just(r#"{"id":1,"d":"20260301"}"#),
        Just("[]"),
        Just(""),
        Just("{}"),
        Just("1"),
    ];
    let jumble = "[{}\\[\\]\",:\\\\ 1a]{0,12}".prop_map(|inside| format!("{{{inside}}}"));
    prop_oneof![
        60 => good.prop_map(|value| Some(value.into_bytes())),
        6 => odd.prop_map(|value| Some(value.as_bytes().to_vec())),
        6 => jumble.prop_map(|value| Some(value.into_bytes())),
        1 => proptest::collection::vec(any::<u8>(), 0..9).prop_map(Some),
        1 => Just(None),
    ]
}

fn csv_value() -> impl Strategy<Value = Option<Vec<u8>>> {
    prop_oneof![
        20 => "[0-9]{1,3},[0-9]?,[a-z]{0,3},[0-9]{0,4},".prop_map(|line| Some(line.into_bytes())),
        3 => "[0-9,\"\n]{0,9}".prop_map(|line| Some(line.into_bytes())),
        1 => Just(None),
    ]
}

fn columns(nested: bool) -> Vec<Field> {
    let last = if nested { list_of(DataType::Int64) } else { DataType::Int64 };
    let mut columns = vec![
        Field::new("id", DataType::Int64, false),
        column("v", DataType::Float64),
        column("t", DataType::Utf8),
        column("at", DataType::Timestamp(MS, None)),
        column("l", last),
    ];
    columns.extend(nested.then(|| column("d", DataType::Date32)));
    columns
}

/// Decodes `values` together and one by one, and compares.
fn check_mix(mut decoder: Decoder, values: &[Option<Vec<u8>>]) -> Result<(), TestCaseError> {
    let values: Vec<Option<&[u8]>> = values.iter().map(Option::as_deref).collect();
    let read = fetched(&values);
    let together = decoder.decode(3, &read).unwrap();
    let (mut rows, mut dead) = (0, together.dead.iter());
    for i in 0..values.len() {
        let one = Fetched { offsets: read.offsets.slice(i, 1), records: read.records.slice(i, 1), range: read.range };
        let alone = decoder.decode(3, &one).unwrap();
        match alone.dead.first() {
            Some(letter) => prop_assert_eq!(dead.next(), Some(letter)),
            None => {
                prop_assert!(rows < together.rows.num_rows());
                prop_assert_eq!(together.rows.slice(rows, 1), alone.rows);
                rows += 1;
            }
        }
    }
    prop_assert_eq!((rows, dead.next()), (together.rows.num_rows(), None));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn json_records_do_not_depend_on_their_neighbours(values in proptest::collection::vec(json_value(), 0..200)) {
        check_mix(decoder(stream(Format::Json, columns(true))), &values)?;
    }

    #[test]
    fn csv_records_do_not_depend_on_their_neighbours(values in proptest::collection::vec(csv_value(), 0..50)) {
        check_mix(decoder(stream(Format::Csv, columns(false))), &values)?;
    }
}
