//! Sources written here. The real files are in `real`.

use std::io::{self, Cursor, Read, Write};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use dovetail_core::name::StreamName;
use dovetail_core::pipeline::{Format, Header, OnBadRecord, OnDataLoss, Stream, StreamOptions};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

mod real;

pub(super) fn options() -> StreamOptions {
    StreamOptions {
        event_time: None,
        timezone: None,
        timestamp_formats: Vec::new(),
        timestamp_unit: TimeUnit::Millisecond,
        key: None,
        partitions: 4,
        on_bad_record: OnBadRecord::DeadLetter,
        on_data_loss: OnDataLoss::Stop,
        header: Header::SnakeCase,
        header_names: Vec::new(),
        delimiter: None,
        null_texts: Vec::new(),
    }
}

pub(super) fn stream(format: Format, columns: &[&str]) -> Stream {
    let fields: Vec<Field> = columns.iter().map(|&name| Field::new(name, DataType::Utf8, true)).collect();
    Stream {
        name: StreamName::parse("events").unwrap(),
        topic: "events".into(),
        format,
        columns: Arc::new(Schema::new(fields)),
        options: options(),
    }
}

fn reader(name: &str, content: impl AsRef<[u8]>, stream: Stream) -> Result<SourceReader, SourceError> {
    let options = SourceOptions { stream: Arc::new(stream), format: None, force: false };
    from_bytes(name, content.as_ref().to_vec(), &options)
}

/// The values and their lines, and the error that ended them.
fn read_all(reader: SourceReader) -> (Vec<(String, u64)>, Option<SourceError>) {
    let (mut values, mut error) = (Vec::new(), None);
    for record in reader {
        match record {
            Ok(record) => {
                assert_eq!(record.number, values.len() as u64);
                values.push((String::from_utf8(record.value).unwrap(), record.line));
            }
            Err(e) => error = Some(e),
        }
    }
    (values, error)
}

fn check(name: &str, content: &str, expected: &[(&str, u64)]) {
    let (values, error) = read_all(reader(name, content, stream(Format::Json, &["a", "b"])).unwrap());
    assert!(error.is_none(), "{error:?}");
    let expected: Vec<(String, u64)> = expected.iter().map(|&(value, line)| (value.to_owned(), line)).collect();
    assert_eq!(values, expected, "{content}");
}

fn check_csv(columns: &[&str], content: &str, expected: &[&str]) {
    let (values, error) = read_all(reader("x.csv", content, stream(Format::Csv, columns)).unwrap());
    assert!(error.is_none(), "{error:?}");
    assert_eq!(values.iter().map(|(value, _)| value.as_str()).collect::<Vec<_>>(), expected, "{content}");
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn lines_are_passed_through_and_blank_ones_are_not() {
    let content = "{\"a\": 1}\r\n\n  \n<p>\n{\"a\":.5}\n {\"b\" ";
    check("x.ndjson", content, &[("{\"a\": 1}", 1), ("<p>", 4), ("{\"a\":.5}", 5), (" {\"b\" ", 6)]);
}

#[test]
fn arrays_are_read_an_element_at_a_time() {
    check("x.json", "[{\"a\":1}\n,{\"a\":2}]\n", &[("{\"a\":1}", 1), ("{\"a\":2}", 2)]);
    let pretty = "[\n  {\n    \"a\": \"] , }\\\"[ \",\n    \"b\": [1, {\"c\": -2.50e3}]\n  },\n  7 ,\n  {}\n]";
    check("-", pretty, &[("{\"a\":\"] , }\\\"[ \",\"b\":[1,{\"c\":-2.50e3}]}", 2), ("7", 6), ("{}", 7)]);
    check("x.json", "[]", &[]);
    check("x.json", "[{\"a\": 1 2}, nul l, \"x, y\"]", &[("{\"a\":1 2}", 1), ("nul l", 1), ("\"x, y\"", 1)]);
}

#[test]
fn pretty_printed_objects_need_no_array() {
    check("x.json", "{\n \"a\": 1\n}\n{\n \"a\": 2\n}\n", &[("{\"a\":1}", 1), ("{\"a\":2}", 4)]);
}

#[test]
fn rows_become_objects_of_strings_in_header_order() {
    let content = "\u{feff}B,A,Other One\r\n1,\"x\n\"\"y\"\"\",ü\r\n\r\n,2,\r\n,,\n";
    check(
        "x.csv",
        content,
        &[("{\"b\":\"1\",\"a\":\"x\\n\\\"y\\\"\",\"other_one\":\"ü\"}", 2), ("{\"a\":\"2\"}", 5), ("{}", 6)],
    );
    check("x.csv", "a;b\n1;2", &[("{\"a\":\"1\",\"b\":\"2\"}", 2)]);
    check("x.csv", "a,b\n", &[]);
}

#[test]
fn null_texts_are_left_out() {
    let mut stream = stream(Format::Json, &["a", "b"]);
    stream.options.null_texts = vec!["NA".into(), "-".into()];
    let (values, _) = read_all(reader("x.csv", "a,b\nNA,1\n-,NAN\n", stream).unwrap());
    assert_eq!(values, [("{\"b\":\"1\"}".into(), 2), ("{\"b\":\"NAN\"}".into(), 3)]);
}

#[test]
fn rows_of_another_width_keep_their_bytes() {
    let content = b"a,b\n1,2\n\"1,\n2\",3,4\r\n5\n\xe4,1\n6,7\n";
    let mut reader = reader("x.csv", content, stream(Format::Json, &["a", "b"])).unwrap();
    let values: Vec<Vec<u8>> = reader.by_ref().map(|record| record.unwrap().value).collect();
    let expected: [&[u8]; 5] =
        [b"{\"a\":\"1\",\"b\":\"2\"}", b"\"1,\n2\",3,4", b"5", b"\xe4,1", b"{\"a\":\"6\",\"b\":\"7\"}"];
    assert_eq!(values, expected);
    assert_eq!(reader.malformed_rows(), 3);
}

#[test]
fn a_stream_of_csv_gets_its_columns_in_its_order() {
    check_csv(&["c", "a", "none"], "A,B,C\n1,2,3\n\"x, \"\"y\"\"\",,\"\n\"\n", &["3,1,", "\"\n\",\"x, \"\"y\"\"\","]);
    // Two cells would pass for a row of two columns.
    check_csv(&["a", "b"], "a,b,c\n1,2\n1\n", &["1,2,", "1"]);
    let reader = reader("x.csv", "A,B\n1,2\n", stream(Format::Csv, &["a"])).unwrap();
    assert_eq!(reader.ignored_fields(), ["b"]);
}

#[test]
fn what_does_not_fit_the_stream_is_refused() {
    let refused = |name, content: &str, format| {
        reader(name, content, stream(format, &["a", "b", "c", "d", "e"])).map(drop).unwrap_err().to_string()
    };
    assert_eq!(
        refused("x.csv", "P,Q Q\n1,2\n", Format::Json),
        "no header of `x.csv` is a column of stream `events`: it has `p`, `q_q`, the stream `a`, `b`, `c`, `d`, ..; \
         map single headers with 'header.NAME' 'column', or write 'header' 'none' where the file has no header and its \
         columns are in the declared order"
    );
    assert!(refused("x.json", "{\"a\":1}", Format::Csv).contains("is declared `STORED AS CSV`"));
    assert_eq!(refused("x.csv", "\n \n", Format::Json), "`x.csv` is empty; nothing was appended");
    assert_eq!(refused("x.csv.gz", "", Format::Json), "`x.csv.gz` is empty; nothing was appended");
}

#[test]
fn a_format_that_is_named_is_not_doubted() {
    let options = |format| SourceOptions { stream: Arc::new(stream(Format::Json, &["a"])), format, force: false };
    let read = |format| from_bytes("x.json", b"<p>\n\"a\"\n", &options(format)).map(Iterator::count);
    assert!(matches!(read(None), Err(SourceError::NotData { .. })));
    assert_eq!(read(Some(FileFormat::Lines)).unwrap(), 2);
    assert!(matches!(read(Some(FileFormat::Csv)), Err(SourceError::NoHeaderMatches { .. })));
}

#[test]
fn a_cut_off_array_gives_what_came_before() {
    let (values, error) =
        read_all(reader("x.json", "[{\"a\":1},\n{\"a\":2},\n{\"a\"", stream(Format::Json, &["a"])).unwrap());
    assert_eq!(values.len(), 2);
    assert_eq!(
        error.unwrap().to_string(),
        "`x.json` ends in the middle of its JSON array (line 3, byte 23); get the whole file and start again: \
         what was read before is kept"
    );
}

#[test]
fn text_after_an_array_is_an_error() {
    let (values, error) = read_all(reader("x.json", "[{\"a\":1}]\n[]", stream(Format::Json, &["a"])).unwrap());
    assert_eq!(values.len(), 1);
    assert!(matches!(error, Some(SourceError::AfterArray { line: 2, byte: 10, .. })), "{error:?}");
}

#[test]
fn gzip_is_known_by_its_content_and_may_have_several_members() {
    let content = [gzip(b"{\"a\":1}\n{\"a\""), gzip(b":2}\n")].concat();
    for name in ["x.ndjson.gz", "x.ndjson", "-"] {
        let (values, error) = read_all(reader(name, &content, stream(Format::Json, &["a"])).unwrap());
        assert!(error.is_none(), "{error:?}");
        assert_eq!(values, [("{\"a\":1}".into(), 1), ("{\"a\":2}".into(), 2)]);
    }
}

#[test]
fn cut_off_gzip_gives_what_came_before() {
    let lines: String = (0..50_000).map(|i| format!("{{\"a\":{}}}\n", i * 7919 % 50_021)).collect();
    let whole = gzip(lines.as_bytes());
    for keep in [whole.len() - 3, whole.len() / 2, 300] {
        let (values, error) = read_all(reader("x.ndjson.gz", &whole[..keep], stream(Format::Json, &["a"])).unwrap());
        assert!(matches!(error, Some(SourceError::Truncated { .. })), "{error:?}");
        assert!(!values.is_empty());
        assert!(lines.lines().zip(&values).all(|(line, (value, _))| line == value));
    }
}

#[test]
fn a_quote_left_open_is_no_value() {
    for cut in ["2,\"x", "2,\"", "2,\"x\ny\n", "2,\"x\"\"", "2,\"x\"\"\n3,4\n"] {
        let raw = cut.trim_end();
        check("x.csv", &format!("a,b\n1,2\n{cut}"), &[("{\"a\":\"1\",\"b\":\"2\"}", 2), (raw, 3)]);
        check_csv(&["a", "b"], &format!("a,b\n1,2\n{cut}"), &["1,2", raw]);
    }
    check_csv(&["a", "b"], "a,b\n1,2\n2,\"x\"", &["1,2", "2,x"]);
    check_csv(&["a", "b"], "a,b\n1,2\n2,x\"", &["1,2", "2,\"x\"\"\""]);
}

#[test]
fn a_quote_left_open_does_not_fill_the_memory() {
    let endless = Cursor::new("a,b\n1,\"").chain(io::repeat(b'x'));
    let options = SourceOptions { stream: Arc::new(stream(Format::Json, &["a"])), format: None, force: false };
    let (_, error) = read_all(read("x.csv", endless, None, false, &options).unwrap());
    assert!(matches!(error, Some(SourceError::TooLong { line: 2, .. })), "{error:?}");
}

#[test]
fn what_is_too_long_is_told_and_the_rest_goes_on() {
    let long = "x".repeat(text::LONGEST_RECORD + 1);
    let cases = [
        ("x.ndjson", format!("{{\"a\":1}}\n{{\"a\":\"{long}\"}}\n{{\"a\":2}}"), long.len() + 8),
        ("x.ndjson", format!("{{\"a\":1}}\n{{\n\"a\":1}}\n{long}"), long.len()),
        ("x.json", format!("[{{\"a\":1}},\n{{\"a\":\"{long}\"}},{{\"a\":2}}]"), long.len() + 8),
        ("x.csv", format!("a,b\n1,\"{long}\"\n2,3\n"), long.len() + 5),
    ];
    for (name, content, length) in cases {
        let records: Vec<SourceRecord> =
            reader(name, content, stream(Format::Json, &["a"])).unwrap().collect::<Result<_, _>>().unwrap();
        let too_long: Vec<_> = records.iter().filter_map(|record| Some((record.number, record.too_long?))).collect();
        let (number, bytes) = too_long[0];
        assert_eq!((too_long.len(), bytes), (1, length as u64), "{name}");
        assert!(records[number as usize].value.is_empty());
        assert!(records.iter().all(|record| record.too_long.is_some() || record.value.len() < 20));
        assert_eq!(records.len(), if name == "x.csv" { 2 } else { 3 });
    }
}

#[test]
fn objects_are_found_by_what_is_there() {
    check(
        "x.ndjson",
        "{\n \"a\": {\"b\": 1},\n \"c\": [\n{\"a\": 2}\n]\n}\n{\"a\": 3}\n",
        &[("{\"a\":{\"b\":1},\"c\":[{\"a\":2}]}", 1), ("{\"a\": 3}", 7)],
    );
    check(
        "x.json",
        "{\"a\":1}{\"a\":2}\n{\"a\":3} {\"a\" : 4}",
        &[("{\"a\":1}", 1), ("{\"a\":2}", 1), ("{\"a\":3}", 2), ("{\"a\":4}", 2)],
    );
    check(
        "x.ndjson",
        "{\"a\":\n{\"a\":1}\n{\"a\":\"x\ny\"}\n{\"a\":2}\n",
        &[("{\"a\":", 1), ("{\"a\":1}", 2), ("{\"a\":\"x", 3), ("y\"}", 4), ("{\"a\":2}", 5)],
    );
}

#[test]
fn a_raw_break_in_an_array_is_in_one_record() {
    check("x.json", "[{\"a\":\"x\ny\"},{\"a\":1}]", &[("{\"a\":\"x\ny\"}", 1), ("{\"a\":1}", 2)]);
}

#[test]
fn a_malformed_row_does_not_pass_for_a_record() {
    // Of one column, `1;2;3` would be a row; a single cell can be a JSON object.
    check_csv(&["a"], "a;b\n1;2;3\n4\n5;6\n", &["1;2;3,", "4,", "5"]);
    check("x.csv", "a,b\n{\"\"a\"\":1}\n{\"a\":1}\n", &[("{\"\"a\"\":1},", 2), ("{\"a\":1},", 3)]);
}

#[test]
fn a_row_of_nothing_is_an_empty_record() {
    check_csv(&["a"], "a,b\n,1\nx,2\n,3\n", &["", "x", ""]);
}

/// A pipe that panics when it is asked for more than was written to it.
struct Pipe(Option<&'static [u8]>);

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let bytes = self.0.take().expect("asked for more than the first line");
        buf[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

#[test]
fn a_live_pipe_is_read_as_it_comes() {
    let options = SourceOptions { stream: Arc::new(stream(Format::Json, &["a"])), format: None, force: false };
    let mut reader = read("-", Pipe(Some(b"{\"a\":1}\n")), None, true, &options).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().value, b"{\"a\":1}");
}

#[test]
fn a_source_is_known_by_its_first_record() {
    let folder = tempfile::tempdir().unwrap();
    let options = SourceOptions { stream: Arc::new(stream(Format::Json, &["a"])), format: None, force: false };
    let id = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        source_id(path.to_str().unwrap(), &options).unwrap().unwrap()
    };
    let first = id("x.csv", b"a\n1\n");
    assert!(first.starts_with("file-"), "{first}");
    assert_eq!(id("renamed.csv", b"a\n1\n2\n"), first, "it grew");
    assert_eq!(id("x.csv", b"\xef\xbb\xbfa\r\n1\r\n3\r\n"), first, "written on another machine");
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(b"a\n1\n").unwrap();
    assert_eq!(id("x.csv.gz", &gzip.finish().unwrap()), first);
    assert_eq!(id("x.csv.zst", &zstd::encode_all(b"a\n1\n".as_slice(), 1).unwrap()), first);
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(b"a\n1\n").unwrap();
    assert_eq!(id("x.csv.bz2", &bzip2.finish().unwrap()), first);
    assert_ne!(id("x.csv", b"a\n2\n"), first);
    assert_ne!(id("x.csv", b"a\n"), first);
    assert_eq!(source_id("-", &options).unwrap(), None);
    assert_eq!(source_id("/dev/null", &options).unwrap(), None);
    assert!(source_id("/nowhere/x.csv", &options).is_err());
}

#[test]
fn progress_counts_the_input_as_it_is_stored() {
    let content = gzip("{\"a\":1}\n".repeat(1_000).as_bytes());
    let mut reader = reader("x", &content, stream(Format::Json, &["a"])).unwrap();
    assert_eq!(reader.total_bytes(), Some(content.len() as u64));
    assert_eq!(reader.by_ref().count(), 1_000);
    assert_eq!(reader.bytes_read(), content.len() as u64);
}

/// Returns a few bytes at a time, so that everything falls across a boundary.
struct Drip(Cursor<Vec<u8>>);

impl Read for Drip {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = buf.len().min(3);
        self.0.read(&mut buf[..n])
    }
}

proptest! {
    #[test]
    fn pretty_arrays_and_lines_hold_the_same_values(
        objects in prop::collection::vec(prop::collection::btree_map(".{0,6}", ".{0,12}", 0..4), 1..8)
    ) {
        let expected: Vec<String> = objects.iter().map(|object| serde_json::to_string(object).unwrap()).collect();
        let pretty = serde_json::to_vec_pretty(&objects).unwrap();
        let options = SourceOptions { stream: Arc::new(stream(Format::Json, &["a"])), format: None, force: false };
        for content in [pretty, expected.join("\n").into_bytes()] {
            let (values, error) = read_all(read("-", Drip(Cursor::new(content)), None, false, &options).unwrap());
            prop_assert!(error.is_none());
            prop_assert_eq!(values.into_iter().map(|(value, _)| value).collect::<Vec<_>>(), expected.clone());
        }
    }

    #[test]
    fn cells_come_through_csv_unchanged(rows in prop::collection::vec(("[^\0]{1,9}", "[^\0]{1,9}"), 1..9)) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["a", "b"]).unwrap();
        rows.iter().for_each(|(a, b)| writer.write_record([a, b]).unwrap());
        let options = SourceOptions { stream: Arc::new(stream(Format::Json, &["a"])), format: None, force: false };
        let content = Drip(Cursor::new(writer.into_inner().unwrap()));
        let (values, error) = read_all(read("x.csv", content, None, false, &options).unwrap());
        prop_assert!(error.is_none());
        for ((value, _), (a, b)) in values.iter().zip(&rows) {
            let value: serde_json::Value = serde_json::from_str(value).unwrap();
            prop_assert_eq!(value, serde_json::json!({"a": a, "b": b}));
        }
        prop_assert_eq!(values.len(), rows.len());
    }
}
