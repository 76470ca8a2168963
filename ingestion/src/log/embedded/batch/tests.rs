use arrow::array::{BinaryArray, StringArray};
use proptest::prelude::*;

use super::*;

type Row = (i64, Option<Vec<u8>>, Option<String>, Option<Vec<u8>>);

fn records(rows: &[Row]) -> Records {
    Records {
        timestamps: rows.iter().map(|row| row.0).collect::<Vec<_>>().into(),
        keys: BinaryArray::from_iter(rows.iter().map(|row| row.1.as_deref())),
        headers: StringArray::from_iter(rows.iter().map(|row| row.2.as_deref())),
        values: BinaryArray::from_iter(rows.iter().map(|row| row.3.as_deref())),
    }
}

fn rows(records: &Records) -> Vec<Row> {
    (0..records.len())
        .map(|i| {
            let key = records.keys.is_valid(i).then(|| records.keys.value(i).to_vec());
            let headers = records.headers.is_valid(i).then(|| records.headers.value(i).to_owned());
            let value = records.values.is_valid(i).then(|| records.values.value(i).to_vec());
            (records.timestamps.value(i), key, headers, value)
        })
        .collect()
}

fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    let bytes = || proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20));
    let row = (any::<i64>(), bytes(), proptest::option::of("\\PC{0,8}"), bytes());
    proptest::collection::vec(row, 0..40)
}

proptest! {
    #[test]
    fn pieces_come_back_as_one_batch(all in any_rows(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        let whole = records(&all);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(all.len() + 1)).collect();
        cuts.extend([0, all.len()]);
        cuts.sort_unstable();
        let pieces: Vec<Records> = cuts.windows(2).map(|w| whole.slice(w[0], w[1] - w[0])).collect();
        let decoded = decode(Bytes::from(encode(&pieces))).unwrap();
        prop_assert_eq!(rows(&decoded), all);
    }

    #[test]
    fn whatever_is_stored_decodes_or_is_refused(all in any_rows(), at in any::<prop::sample::Index>(), byte in any::<u8>(), keep in any::<prop::sample::Index>()) {
        let mut bytes = encode(&[records(&all)]);
        let keep = keep.index(bytes.len()) + 1;
        prop_assert!(keep == bytes.len() || decode(Bytes::copy_from_slice(&bytes[..keep])).is_err());
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode(Bytes::from(bytes));
    }
}

#[test]
fn columns_that_say_nothing_cost_nothing() {
    let values = vec![b"12345678".as_slice(); 1000];
    let encoded = encode(&[Records::from_values(7, values)]);
    assert_eq!(encoded.len(), HEADER_BYTES + 1000 * (8 + 4));
}

#[test]
fn values_stay_where_they_are() {
    let bytes = Bytes::from(encode(&[Records::from_values(7, [b"one".as_slice(), b"two"])]));
    let inside = bytes.as_ptr_range();
    let decoded = decode(bytes).unwrap();
    assert!(inside.contains(&decoded.values.value_data().as_ptr()));
}

#[test]
fn a_damaged_count_makes_no_room_for_what_is_not_there() {
    let (full, empty) = (records(&[(7, None, None, Some(vec![1; 3]))]), records(&[(7, None, None, None)]));
    for (all, count, why) in [
        (&full, 16_000_000_u32, "it is shorter than its header says"),
        (&empty, u32::MAX, "it says that it holds more records than any batch"),
    ] {
        let mut bytes = encode(std::slice::from_ref(all));
        bytes[4..8].copy_from_slice(&count.to_le_bytes());
        assert_eq!(decode(Bytes::from(bytes)).unwrap_err().to_string(), why);
    }
}

#[test]
fn another_version_is_refused() {
    let mut bytes = encode(&[Records::from_values(7, [b"one".as_slice()])]);
    bytes[3] = b'9';
    let why = decode(Bytes::from(bytes)).unwrap_err().to_string();
    assert_eq!(why, "it does not start with the magic of a batch of this version");
}
