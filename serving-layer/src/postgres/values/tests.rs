use arrow::array::{Array, Int8Array, Int64Array, ListArray, StringArray, StructArray, TimestampNanosecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::Format;

use super::*;

fn of(column: ArrayRef) -> (Columns, Vec<FieldInfo>, Vec<FieldInfo>) {
    let field = Field::new("c", column.data_type().clone(), true);
    let schema = Arc::new(Schema::new(vec![field]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column]).unwrap();
    let told = |format| fields(&schema, &format).unwrap();
    (Columns::of(&batch).unwrap(), told(Format::UnifiedText), told(Format::UnifiedBinary))
}

/// Each row's value behind its length: as text, and in binary.
fn both(column: ArrayRef) -> (Vec<Option<String>>, Vec<Option<Vec<u8>>>) {
    let (columns, text, binary) = of(column);
    let value = |row: &DataRow| {
        let length = i32::from_be_bytes(row.data[..4].try_into().unwrap());
        (length >= 0).then(|| row.data[4..].to_vec())
    };
    let rows = |fields: &[FieldInfo]| -> Vec<Option<Vec<u8>>> {
        (0..columns.rows()).map(|row| value(&columns.row(row, fields, Style::default()).unwrap())).collect()
    };
    let texts = rows(&text).into_iter().map(|text| text.map(|text| String::from_utf8(text).unwrap()));
    (texts.collect(), rows(&binary))
}

#[test]
fn a_tinyint_is_an_int2_of_two_bytes() {
    let column: ArrayRef = Arc::new(Int8Array::from(vec![Some(-5), None, Some(127)]));
    assert_eq!(of(Arc::clone(&column)).1[0].datatype(), &Type::INT2);
    let (text, binary) = both(column);
    assert_eq!(text, [Some("-5".to_owned()), None, Some("127".to_owned())]);
    assert_eq!(binary, [Some(vec![0xFF, 0xFB]), None, Some(vec![0, 127])]);
}

/// `SELECT ARRAY['', 'NULL', NULL, 'x,y', ..]` of PostgreSQL 15.
#[test]
fn elements_are_quoted_where_they_could_be_mistaken() {
    let values =
        StringArray::from(vec![Some(""), Some("NULL"), None, Some("x,y"), Some("q\"\\"), Some("a b"), Some("ü")]);
    let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([7, 0]);
    let list: ArrayRef = Arc::new(ListArray::new(field, offsets, Arc::new(values), None));
    let (text, binary) = both(list);
    assert_eq!(text[0].as_deref(), Some(r#"{"","NULL",NULL,"x,y","q\"\\","a b",ü}"#));
    assert_eq!(text[1].as_deref(), Some("{}"));
    // No dimensions, no nulls, elements of type text.
    assert_eq!(binary[1].as_deref(), Some(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 25][..]));
    let one = binary[0].as_ref().unwrap();
    assert_eq!(one[..24], [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 25, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 0]);
}

#[test]
fn arrays_of_timestamps_are_quoted() {
    let values = TimestampNanosecondArray::from(vec![Some(1_772_368_496_000_000_000), None]);
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    let list = ListArray::new(field, arrow::buffer::OffsetBuffer::from_lengths([2]), Arc::new(values), None);
    assert_eq!(both(Arc::new(list)).0[0].as_deref(), Some("{\"2026-03-01 12:34:56\",NULL}"));
}

#[test]
fn arrays_of_arrays_have_dimensions() {
    let rows = |rows: Vec<Vec<i64>>| -> ArrayRef {
        let inner = ListArray::from_iter_primitive::<Int64Type, _, _>(
            rows.into_iter().map(|row| Some(row.into_iter().map(Some).collect::<Vec<_>>())),
        );
        let field = Arc::new(Field::new_list_field(inner.data_type().clone(), true));
        let offsets = arrow::buffer::OffsetBuffer::from_lengths([inner.len()]);
        Arc::new(ListArray::new(field, offsets, Arc::new(inner), None))
    };
    let even = rows(vec![vec![1, 2], vec![3, 4]]);
    assert_eq!(of(Arc::clone(&even)).1[0].datatype(), &Type::INT8_ARRAY);
    let (text, binary) = both(even);
    assert_eq!(text[0].as_deref(), Some("{{1,2},{3,4}}"));
    assert_eq!(binary[0].as_ref().unwrap()[..4], [0, 0, 0, 2]);
    let (columns, text, binary) = of(rows(vec![vec![1], vec![2, 3]]));
    assert!(columns.row(0, &text, Style::default()).is_ok());
    assert!(columns.row(0, &binary, Style::default()).is_err());
}

/// `SELECT ROW(1, 'x,y'), ROW(NULL, '')` of PostgreSQL 15.
#[test]
fn fields_of_structs_that_are_null_are_nothing() {
    let a: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
    let b: ArrayRef = Arc::new(StringArray::from(vec![Some("x,y"), Some("")]));
    let field = |name: &str, column: &ArrayRef| Arc::new(Field::new(name, column.data_type().clone(), true));
    let fields = vec![field("a", &a), field("b", &b)];
    let value = StructArray::new(fields.into(), vec![a, b], None);
    let (text, binary) = both(Arc::new(value));
    assert_eq!((text[0].as_deref(), text[1].as_deref()), (Some(r#"(1,"x,y")"#), Some(r#"(,"")"#)));
    assert_eq!(binary[1].as_deref(), Some(&[0, 0, 0, 2, 0, 0, 0, 20, 255, 255, 255, 255, 0, 0, 0, 25, 0, 0, 0, 0][..]));
}

#[test]
fn too_few_formats_are_an_error() {
    let schema = Schema::new(vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Int64, true)]);
    assert!(fields(&schema, &Format::Individual(vec![1])).is_err());
    assert!(fields(&schema, &Format::Individual(vec![1, 0])).is_ok());
}
