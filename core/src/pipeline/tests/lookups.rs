use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::util::pretty::pretty_format_batches;
use datafusion::prelude::SessionContext;
use parquet::arrow::ArrowWriter;
use tempfile::TempDir;

use super::super::lookup_file::read;
use super::super::{Pipeline, PipelineErrors, register_lookups};
use super::STREAM;

const AGENCIES: &str = "agency,Agency_Name,staff\nNYPD,\"Police, City of New York\",3\nDOT,,2\n";

/// A folder with the file `agencies.csv`.
fn folder(content: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("agencies.csv"), content).unwrap();
    folder
}

fn parse(folder: &Path, lookup: &str) -> Result<Pipeline, PipelineErrors> {
    Pipeline::parse(&format!("{STREAM}\nCREATE EXTERNAL TABLE agencies {lookup};"), &folder.join("p.sql"))
}

const CSV: &str = "STORED AS CSV LOCATION 'agencies.csv'";

async fn rows(pipeline: &Pipeline) -> String {
    let ctx = SessionContext::new();
    register_lookups(pipeline, &ctx).await.unwrap();
    let found = ctx.sql("SELECT * FROM agencies").await.unwrap().collect().await.unwrap();
    let table = pretty_format_batches(&found).unwrap().to_string();
    let line = |line: &str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join("|");
    table.lines().filter(|line| line.starts_with('|')).map(line).collect::<Vec<_>>().join("\n")
}

/// The lookup is refused with exactly this text; `DIR` stands for the folder.
#[track_caller]
fn check(folder: &TempDir, lookup: &str, expected: &str) {
    let found = parse(folder.path(), lookup).unwrap_err().to_string();
    let found = found.replace(&folder.path().display().to_string(), "DIR");
    assert_eq!(found, expected, "\n{found}\n");
}

#[tokio::test]
async fn csv_columns_are_found_by_name() {
    let folder = folder(AGENCIES);
    let pipeline = parse(folder.path(), &format!("(staff BIGINT NOT NULL, agency_name VARCHAR) {CSV}")).unwrap();
    assert_eq!(pipeline.lookups[0].path, folder.path().join("agencies.csv"));
    assert_eq!(rows(&pipeline).await, "staff|agency_name\n3|Police, City of New York\n2|");
}

#[tokio::test]
async fn csv_columns_are_found_by_place_when_the_header_knows_none() {
    let pipeline = |lookup: &str, content: &str| {
        let folder = folder(content);
        (parse(folder.path(), lookup).unwrap(), folder)
    };
    let (by_place, _folder) = pipeline(&format!("(x VARCHAR, y VARCHAR, z INT) {CSV}"), AGENCIES);
    assert_eq!(rows(&by_place).await, "x|y|z\nNYPD|Police, City of New York|3\nDOT||2");
    let options = "OPTIONS ('format.has_header' 'false', 'format.delimiter' '\\t')";
    let (headless, _folder) = pipeline(&format!("(x VARCHAR, z INT) {CSV} {options}"), "a\t1\nb\t2\n");
    assert_eq!(rows(&headless).await, "x|z\na|1\nb|2");
    let (undeclared, _folder) = pipeline(&format!("{CSV} OPTIONS (format.delimiter ';')"), "x;y;z\n1;b;\n2;c;\n");
    assert_eq!(rows(&undeclared).await, "x|y|z\n1|b|\n2|c|");
}

/// By the same rule as a stream's: values by hand, PostgreSQL's casts of text give the same.
#[tokio::test]
async fn texts_are_read_as_a_streams_are() {
    let folder = folder("a,d,f,t,b\n7.0,1.99,-NaN,14:02,TRUE\n 8 ,0.05,1e3,23:59:59,f\n,-1.95,,,\n");
    let columns = "(a INT, d DECIMAL(4, 1), f DOUBLE, t TIME, b BOOLEAN)";
    let pipeline = parse(folder.path(), &format!("{columns} {CSV}")).unwrap();
    let expected = "a|d|f|t|b\n7|2.0|NaN|14:02:00|true\n8|0.1|1000.0|23:59:59|false\n|-2.0|||";
    assert_eq!(rows(&pipeline).await, expected);
    for (columns, text) in
        [("(a INT)", "3.7"), ("(a REAL)", "1e39"), ("(a TIME)", "23:59:60"), ("(a DATE)", "2026-02-30")]
    {
        std::fs::write(folder.path().join("agencies.csv"), format!("a\n{text}\n")).unwrap();
        let error = parse(folder.path(), &format!("{columns} {CSV}")).unwrap_err().to_string();
        assert!(error.contains(&format!("column `a`, row 1: \"{text}\" cannot be read as")), "{error}");
    }
    let batch = RecordBatch::try_from_iter([("x", Arc::new(Float64Array::from(vec![1.99])) as ArrayRef)]).unwrap();
    let file = File::create(folder.path().join("x.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let parquet = "STORED AS PARQUET LOCATION 'x.parquet'";
    let pipeline = parse(folder.path(), &format!("(x DECIMAL(4, 1)) {parquet}")).unwrap();
    assert_eq!(rows(&pipeline).await, "x\n2.0");
    let error = parse(folder.path(), &format!("(x INT) {parquet}")).unwrap_err().to_string();
    assert!(error.contains("\"1.99\" cannot be read as Int32"), "{error}");
}

fn write_parquet(path: &Path) {
    let columns: [(&str, ArrayRef); 2] = [
        ("agency", Arc::new(StringArray::from(vec!["NYPD", "DOT"]))),
        ("staff", Arc::new(Int64Array::from(vec![Some(5_000_000_000), None]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

#[tokio::test]
async fn parquet_columns_are_cast_to_the_declared_types() {
    let folder = tempfile::tempdir().unwrap();
    write_parquet(&folder.path().join("a.parquet"));
    let parquet = "STORED AS PARQUET LOCATION 'a.parquet'";
    let declared = parse(folder.path(), &format!("(staff DOUBLE, agency VARCHAR) {parquet}")).unwrap();
    assert_eq!(rows(&declared).await, "staff|agency\n5000000000.0|NYPD\n|DOT");
    let undeclared = parse(folder.path(), parquet).unwrap();
    assert_eq!(rows(&undeclared).await, "agency|staff\nNYPD|5000000000\nDOT|");

    check(
        &folder,
        &format!("(agncy VARCHAR) {parquet}"),
        "DIR/p.sql:2:75: in lookup `agencies`: file `DIR/a.parquet` has no column `agncy`\n  hint: did you mean `agency`?",
    );
    check(
        &folder,
        &format!("(staff INT) {parquet}"),
        "DIR/p.sql:2:71: in lookup `agencies`: file `DIR/a.parquet` is no Parquet file with the declared columns: can't cast value \
         5000000000 to type Int32",
    );
    check(
        &folder,
        &format!("(staff BIGINT NOT NULL) {parquet}"),
        "DIR/p.sql:2:83: in lookup `agencies`: file `DIR/a.parquet` is no Parquet file with the declared columns: column 'staff' is \
         declared as non-nullable but contains null values",
    );
    check(
        &folder,
        &format!("{parquet} OPTIONS ('format.has_header' 'true')"),
        "DIR/p.sql:2:80: in lookup `agencies`: unknown option `format.has_header`\n  hint: a Parquet lookup has no options",
    );
}

#[test]
fn files_that_do_not_hold_what_is_declared() {
    let folder = folder(AGENCIES);
    check(
        &folder,
        "(a INT) STORED AS CSV LOCATION 'agences.csv'",
        "DIR/p.sql:2:63: in lookup `agencies`: file `DIR/agences.csv` cannot be read: no such file or directory (os error 2)\n  \
         hint: a lookup's path is relative to the folder of the pipeline's file",
    );
    check(
        &folder,
        &format!("(agency VARCHAR, agency_nme VARCHAR) {CSV}"),
        "DIR/p.sql:2:92: in lookup `agencies`: file `DIR/agencies.csv` has no column `agency_nme`\n  hint: did you mean \
         `Agency_Name`?",
    );
    check(
        &folder,
        &format!("(agency VARCHAR, agency_name INT) {CSV}"),
        "DIR/p.sql:2:89: in lookup `agencies`: file `DIR/agencies.csv` is no CSV file with the declared columns: column `agency_name`, \
         row 1: \"Police, City of New York\" cannot be read as Int32",
    );
    check(
        &folder,
        "(agency VARCHAR) STORED AS PARQUET LOCATION 'agencies.csv'",
        "DIR/p.sql:2:76: in lookup `agencies`: file `DIR/agencies.csv` is no Parquet file with the declared columns: \
         invalid Parquet file. Corrupt footer",
    );
    check(
        &folder,
        "(agency VARCHAR) STORED AS JSON LOCATION 'agencies.csv'",
        "DIR/p.sql:2:1: in lookup `agencies`: a lookup cannot be stored as JSON\n  hint: write `STORED AS CSV` or `STORED AS \
         PARQUET`; a stream's location is `kafka://TOPIC`",
    );
    check(
        &folder,
        &format!("(agency VARCHAR) {CSV} OPTIONS (format.delimiter ';;', format.has_header 'yes', delimiter ',')"),
        "DIR/p.sql:2:113: in lookup `agencies`: option `format.delimiter` cannot be `;;`\n  hint: write one ASCII character, \
         such as `;` or `\\t`\n\
         DIR/p.sql:2:137: in lookup `agencies`: option `format.has_header` cannot be `yes`\n  hint: values are `true` and `false`\n\
         DIR/p.sql:2:144: in lookup `agencies`: unknown option `delimiter`\n  hint: options are `format.has_header` and \
         `format.delimiter`",
    );
    std::fs::write(folder.path().join("agencies.csv"), "").unwrap();
    check(
        &folder,
        CSV,
        "DIR/p.sql:2:55: in lookup `agencies`: file `DIR/agencies.csv` cannot be read: it is empty\n  hint: a lookup's path is \
         relative to the folder of the pipeline's file",
    );
}

#[test]
fn lookups_are_bounded() {
    let folder = folder(AGENCIES);
    let pipeline = parse(folder.path(), &format!("(agency VARCHAR, staff INT) {CSV}")).unwrap();
    for limit in [10, AGENCIES.len() as u64 + 1] {
        let error = read(&pipeline.lookups[0], limit).unwrap_err();
        let file = folder.path().join("agencies.csv");
        assert_eq!(error.to_string(), format!("file `{}` takes more than {limit} bytes in memory", file.display()));
    }
    assert_eq!(read(&pipeline.lookups[0], 1 << 20).unwrap().batches[0].num_rows(), 2);
}

#[tokio::test]
async fn a_file_that_changes_is_noticed() {
    let folder = folder(AGENCIES);
    let pipeline = parse(folder.path(), CSV).unwrap();
    std::fs::write(folder.path().join("agencies.csv"), "agency,staff\nDOT,1\n").unwrap();
    let error = register_lookups(&pipeline, &SessionContext::new()).await.unwrap_err();
    let file = folder.path().join("agencies.csv");
    let expected = format!(
        "in lookup `agencies`: file `{}` changed after the pipeline was parsed\n  hint: load the pipeline again",
        file.display()
    );
    assert_eq!(error.to_string(), expected);
    let again = parse(folder.path(), CSV).unwrap();
    assert_ne!(again.lookups[0].fingerprint(), pipeline.lookups[0].fingerprint());
    let other = parse(folder.path(), &format!("{CSV} OPTIONS (format.delimiter ';')")).unwrap();
    assert_ne!(again.lookups[0].fingerprint(), other.lookups[0].fingerprint());
    assert_eq!(again.lookups[0].fingerprint(), parse(folder.path(), CSV).unwrap().lookups[0].fingerprint());
}
