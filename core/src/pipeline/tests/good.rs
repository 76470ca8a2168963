use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::super::{Format, Header, OnBadRecord, Pipeline};
use super::parse;

fn columns(definitions: &str, options: &str) -> SchemaRef {
    let options = if options.is_empty() { String::new() } else { format!(" OPTIONS ({options})") };
    let sql = format!("CREATE EXTERNAL TABLE s ({definitions}) STORED AS JSON LOCATION 'kafka://S'{options}");
    Arc::clone(&parse(&sql).unwrap().streams[0].columns)
}

fn data_type(sql_type: &str) -> DataType {
    columns(&format!("x {sql_type}"), "").field(0).data_type().clone()
}

fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

const FULL: &str = r#"-- NYC's service requests; the first `;` is in a comment
CREATE EXTERNAL TABLE service_requests (
  unique_key BIGINT NOT NULL,
  created_date TIMESTAMP(3),
  "incidentZip" VARCHAR,
  location STRUCT<latitude DOUBLE, longitude DOUBLE>
) STORED AS JSON LOCATION 'kafka://ServiceRequests.v2-a'
OPTIONS (
  'event_time' 'created_date', timezone 'America/New_York',
  'timestamp_format' '%m/%d/%Y %I:%M:%S %p|%Y', 'timestamp_unit' 's',
  'key' 'unique_key', 'partitions' 8, 'on_bad_record' 'stop',
  'header' 'snake_case', 'header.Incident Zip' 'incidentZip', 'null' 'NA|N/A|'
);
CREATE EXTERNAL TABLE Metars (station VARCHAR) STORED AS CSV LOCATION 'kafka://metars';

/* views */
CREATE VIEW By_Day AS
  SELECT date_trunc('day', created_date) AS day, -- a comment; inside
         count(*) AS "Requests"
  FROM service_requests GROUP BY day /* end */ ;
CREATE VIEW latest AS (SELECT station FROM metars)
"#;

#[test]
fn a_full_pipeline() {
    let Pipeline { streams, lookups, views, notes } = parse(FULL).unwrap();
    assert_eq!(notes, []);
    assert!(lookups.is_empty());
    let stream = &streams[0];
    assert_eq!((stream.name.as_str(), stream.topic.as_str()), ("service_requests", "ServiceRequests.v2-a"));
    assert_eq!(stream.format, Format::Json);
    let instant = DataType::Timestamp(TimeUnit::Millisecond, Some("America/New_York".into()));
    let place = DataType::Struct(
        vec![Field::new("latitude", DataType::Float64, true), Field::new("longitude", DataType::Float64, true)].into(),
    );
    let declared = Schema::new(vec![
        Field::new("unique_key", DataType::Int64, false),
        Field::new("created_date", instant, true),
        Field::new("incidentZip", DataType::Utf8, true),
        Field::new("location", place, true),
    ]);
    assert_eq!(stream.columns.as_ref(), &declared);
    let options = &stream.options;
    assert_eq!(options.event_time.as_deref(), Some("created_date"));
    assert_eq!(options.timezone, Some(chrono_tz::America::New_York));
    assert_eq!(options.timestamp_formats, ["%m/%d/%Y %I:%M:%S %p", "%Y"]);
    assert_eq!(options.timestamp_unit, TimeUnit::Second);
    assert_eq!((options.key.as_deref(), options.partitions), (Some("unique_key"), 8));
    assert_eq!((options.on_bad_record, options.header), (OnBadRecord::Stop, Header::SnakeCase));
    assert_eq!(options.header_names, [("Incident Zip".to_owned(), "incidentZip".to_owned())]);
    assert_eq!(options.null_texts, ["NA", "N/A"]);
    assert_eq!((streams[1].name.as_str(), streams[1].format), ("metars", Format::Csv));

    assert_eq!((views[0].name.as_str(), views[0].line), ("by_day", 17));
    let sql = "SELECT date_trunc('day', created_date) AS day, -- a comment; inside\n         count(*) AS \"Requests\"\n  \
               FROM service_requests GROUP BY day";
    assert_eq!(views[0].sql, sql);
    assert_eq!((views[1].sql.as_str(), views[1].line), ("(SELECT station FROM metars)", 21));
}

#[test]
fn options_have_defaults() {
    let pipeline = parse("CREATE EXTERNAL TABLE s (a INT) STORED AS JSON LOCATION 'kafka://S'").unwrap();
    let options = &pipeline.streams[0].options;
    assert_eq!((&options.event_time, options.timezone, &options.key), (&None, None, &None));
    assert_eq!((options.timestamp_unit, options.partitions), (TimeUnit::Millisecond, 4));
    assert_eq!((options.on_bad_record, options.header), (OnBadRecord::DeadLetter, Header::AsIs));
    assert!(options.timestamp_formats.is_empty() && options.header_names.is_empty() && options.null_texts.is_empty());
}

#[test]
fn types_are_those_of_datafusion_with_plain_strings() {
    let cases = [
        ("VARCHAR", DataType::Utf8),
        ("VARCHAR(20)", DataType::Utf8),
        ("TEXT", DataType::Utf8),
        ("BOOLEAN", DataType::Boolean),
        ("SMALLINT", DataType::Int16),
        ("BIGINT UNSIGNED", DataType::UInt64),
        ("REAL", DataType::Float32),
        ("DECIMAL(12, 2)", DataType::Decimal128(12, 2)),
        ("DATE", DataType::Date32),
        ("BYTEA", DataType::Binary),
        ("TIMESTAMP", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("TIMESTAMP(9)", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("TIME", DataType::Time64(TimeUnit::Microsecond)),
        ("TIMESTAMP(0)", DataType::Timestamp(TimeUnit::Second, None)),
        ("TIMESTAMP(3)", DataType::Timestamp(TimeUnit::Millisecond, None)),
        ("TIMESTAMP(6)", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("TIMESTAMP(6) WITH TIME ZONE", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        ("TIMESTAMPTZ", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        ("INT[]", list(DataType::Int32)),
        ("ARRAY<VARCHAR>", list(DataType::Utf8)),
        ("ARRAY<ARRAY<INT>>", list(list(DataType::Int32))),
    ];
    for (sql, expected) in cases {
        assert_eq!(data_type(sql), expected, "{sql}");
    }
}

/// The tokens behind `>>` belong to the outer type.
#[test]
fn types_that_close_together_are_closed_one_after_the_other() {
    let of = |fields: &[(&str, DataType)]| {
        let fields: Vec<Field> = fields.iter().map(|(name, t)| Field::new(*name, t.clone(), true)).collect();
        DataType::Struct(fields.into())
    };
    let user = of(&[("id", DataType::Int64), ("user", of(&[("c", DataType::Utf8)]))]);
    let deep = of(&[("x", list(of(&[("y", of(&[("z", DataType::Int32)]))])))]);
    let cases = [
        (r#"STRUCT<id BIGINT, "user" STRUCT<c VARCHAR>>[]"#, list(user.clone())),
        (r#"STRUCT<id BIGINT, "user" STRUCT<c VARCHAR> >[]"#, list(user.clone())),
        (r#"ARRAY<STRUCT<id BIGINT, "user" STRUCT<c VARCHAR>>>"#, list(user.clone())),
        (r#"STRUCT<id BIGINT, "user" STRUCT<c VARCHAR>>"#, user.clone()),
        (r#"STRUCT<id BIGINT, "user" STRUCT<c VARCHAR>>[][]"#, list(list(user))),
        ("STRUCT<x STRUCT<y STRUCT<z INT>>[]>", deep),
        ("ARRAY<ARRAY<INT>>[]", list(list(list(DataType::Int32)))),
    ];
    for (sql, expected) in cases {
        assert_eq!(data_type(sql), expected, "{sql}");
    }
}

#[test]
fn structs_nest_and_quoted_names_keep_their_case() {
    let schema =
        columns(r#""Who" STRUCT<Id INT, "userTags" VARCHAR[]>, xs ARRAY<STRUCT<a INT, b STRUCT<c DOUBLE>>>"#, "");
    let who = vec![Field::new("id", DataType::Int32, true), Field::new("userTags", list(DataType::Utf8), true)];
    let b = DataType::Struct(vec![Field::new("c", DataType::Float64, true)].into());
    let item = vec![Field::new("a", DataType::Int32, true), Field::new("b", b, true)];
    let expected = Schema::new(vec![
        Field::new("Who", DataType::Struct(who.into()), true),
        Field::new("xs", list(DataType::Struct(item.into())), true),
    ]);
    assert_eq!(schema.as_ref(), &expected);
}

#[test]
fn a_zone_reaches_every_timestamp() {
    let schema =
        columns("a TIMESTAMP(3), b STRUCT<c TIMESTAMP[], d INT>, e TIMESTAMP WITH TIME ZONE", "timezone 'Asia/Tokyo'");
    let instant = |unit| DataType::Timestamp(unit, Some("Asia/Tokyo".into()));
    let fields =
        vec![Field::new("c", list(instant(TimeUnit::Microsecond)), true), Field::new("d", DataType::Int32, true)];
    let expected = Schema::new(vec![
        Field::new("a", instant(TimeUnit::Millisecond), true),
        Field::new("b", DataType::Struct(fields.into()), true),
        Field::new("e", instant(TimeUnit::Microsecond), true),
    ]);
    assert_eq!(schema.as_ref(), &expected);
}

#[test]
fn decoding_adds_the_columns_that_every_stream_has() {
    let pipeline = parse("CREATE EXTERNAL TABLE s (a INT NOT NULL) STORED AS JSON LOCATION 'kafka://S'").unwrap();
    let schema = pipeline.streams[0].decoded_schema();
    let columns: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| format!("{} {} {}", field.name(), field.data_type(), field.is_nullable()))
        .collect();
    let expected = [
        "a Int32 true",
        "_partition Int32 true",
        "_offset Int64 true",
        "_timestamp Timestamp(ms, \"UTC\") true",
        "_key Binary true",
        "_headers Utf8 true",
        "_value Binary true",
    ];
    assert_eq!(columns, expected);
}

#[test]
fn a_stream_alone_is_a_pipeline() {
    let pipeline = parse("\u{feff};; CREATE EXTERNAL TABLE s (a INT) STORED AS JSON LOCATION 'kafka://S';;").unwrap();
    assert_eq!((pipeline.streams.len(), pipeline.views.len()), (1, 0));
}

#[test]
fn names_that_lose_their_case_are_noted() {
    let declared = |format: &str| {
        let columns = "userId BIGINT, \"pageUrl\" VARCHAR, ID INT, plain INT";
        format!("CREATE EXTERNAL TABLE s ({columns}) STORED AS {format} LOCATION 'kafka://S';")
    };
    let Pipeline { streams, notes, .. } = parse(&declared("JSON")).unwrap();
    assert_eq!(streams[0].columns.field(0).name(), "userid");
    let notes: Vec<String> = notes.iter().map(ToString::to_string).collect();
    let expected = "1:26: in stream `s`: column `userId` is read as `userid`: unquoted names are folded to lower case\n  \
                    hint: write \"userId\" if the records spell it so";
    assert_eq!(notes, [expected]);
    assert_eq!(parse(&declared("CSV")).unwrap().notes, []);
}
