//! The pipelines in `data/`, each over the records that are generated for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::util::pretty::pretty_format_batches;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::pipeline::{Pipeline, register_lookups};
use dovetail_core::record::{Fetched, Records};
use dovetail_core::view::{Planned, Planner};

use super::*;
use crate::sources::file;
use crate::sources::file::SourceOptions;
use dovetail_ingestion::formats::Decoder;

fn pipeline(name: &str) -> Pipeline {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../data").join(name).join("pipeline.sql");
    Pipeline::load(&path).unwrap()
}

/// A context with the pipeline's lookups and views, and `values` decoded as its stream; and how many did not decode.
async fn context(pipeline: &Pipeline, values: &[Vec<u8>]) -> (SessionContext, usize) {
    let stream = &pipeline.streams[0];
    let mut decoder = Decoder::new(Arc::new(stream.clone())).unwrap();
    let n = values.len() as i64;
    let fetched = Fetched {
        offsets: Int64Array::from_iter_values(0..n),
        records: Records::from_values(0, values.iter().map(Vec::as_slice)),
        range: OffsetRange::new(0, n),
    };
    let decoded = decoder.decode(0, &fetched).unwrap();
    let table = MemTable::try_new(decoder.schema(), vec![vec![decoded.rows]]).unwrap();
    let context = SessionContext::new();
    register_lookups(pipeline, &context).await.unwrap();
    context.register_table(stream.name.as_str(), Arc::new(table)).unwrap();
    for view in &pipeline.views {
        query(&context, &format!("CREATE VIEW {} AS {}", view.name, view.sql)).await;
    }
    (context, decoded.dead.len())
}

async fn query(context: &SessionContext, sql: &str) -> Vec<RecordBatch> {
    context.sql(sql).await.unwrap().collect().await.unwrap()
}

async fn check(context: &SessionContext, sql: &str, expected: &str) {
    let table = pretty_format_batches(&query(context, sql).await).unwrap().to_string();
    let cells = |line: &str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(" ");
    let rows: Vec<String> = table.lines().filter(|line| line.starts_with('|')).skip(1).map(cells).collect();
    assert_eq!(rows.join("; "), expected, "{sql}");
}

#[tokio::test]
async fn every_view_can_be_folded() {
    for name in ["nyc311", "clicks", "weather"] {
        let pipeline = pipeline(name);
        let mut planner = Planner::new(&pipeline).await.unwrap();
        for view in &pipeline.views {
            let planned = planner.plan(view).await.unwrap_or_else(|error| panic!("{}: {error}", view.name));
            assert!(matches!(planned, Planned::Folded(_)), "{}", view.name);
        }
    }
}

#[tokio::test]
async fn what_is_generated_decodes_unless_it_was_broken() {
    for (name, kind) in [("nyc311", Kind::Nyc311), ("clicks", Kind::Clicks), ("weather", Kind::Weather)] {
        let pipeline = pipeline(name);
        let good: Vec<Vec<u8>> = generate(kind, &options(3_000, 1)).collect();
        let faulty: Vec<Vec<u8>> = generate(kind, &GenerateOptions { bad: 0.2, ..options(3_000, 1) }).collect();
        let broken = good.iter().zip(&faulty).filter(|(good, faulty)| good != faulty).count();
        assert_eq!(context(&pipeline, &good).await.1, 0, "{name}");
        assert_eq!(context(&pipeline, &faulty).await.1, broken, "{name}");
    }
}

#[tokio::test]
async fn views_of_service_requests_count_each_as_often_as_they_should() {
    let values: Vec<Vec<u8>> = generate(Kind::Nyc311, &options(20_000, 1)).collect();
    let (context, _) = context(&pipeline("nyc311"), &values).await;
    let context = &context;
    check(context, "SELECT sum(requests) FROM requests_by_day", "20000").await;
    check(context, "SELECT sum(total) FROM open_requests", "20000").await;
    check(context, "SELECT sum(requests) FROM busiest_hours", "60000").await;
    check(context, "SELECT count(*) FROM time_to_close WHERE agency_name IS NULL", "0").await;
    check(context, "SELECT count(*) FROM time_to_close WHERE NOT median_hours < p90_hours", "0").await;
    let closed = "SELECT (SELECT sum(closed) FROM time_to_close) + (SELECT sum(open) FROM open_requests) \
                  BETWEEN 19900 AND 20000";
    check(context, closed, "true").await;
    check(context, "SELECT min(day) FROM requests_by_day", "2026-02-28T00:00:00-05:00").await;
    let window = "SELECT DISTINCT window_end - window_start FROM busiest_hours";
    assert_eq!(query(context, window).await.iter().map(RecordBatch::num_rows).sum::<usize>(), 1);
}

#[tokio::test]
async fn views_of_clicks_count_each_as_often_as_they_should() {
    let values: Vec<Vec<u8>> = generate(Kind::Clicks, &options(20_000, 1)).collect();
    let (context, _) = context(&pipeline("clicks"), &values).await;
    let context = &context;
    check(context, "SELECT sum(clicks) FROM clicks_per_minute", "20000").await;
    check(context, "SELECT sum(clicks) FROM clicks_per_user", "20000").await;
    check(context, "SELECT sum(clicks) FROM clicks_per_continent", "20000").await;
    check(context, "SELECT min(minute) FROM clicks_per_minute", "2026-03-01T00:00:00").await;
    check(context, "SELECT count(*) FROM sessions_per_product WHERE sessions > views * 1.1", "0").await;
    let products =
        "SELECT count(*) = (SELECT count(*) FROM page_stats WHERE page LIKE '/p/%') FROM sessions_per_product";
    check(context, products, "true").await;
    let known = "SELECT count(*) = (SELECT count(country) FROM clicks) FROM clicks JOIN countries USING (country)";
    check(context, known, "true").await;
}

#[tokio::test]
async fn views_of_weather_have_a_row_a_city_and_hour() {
    let values: Vec<Vec<u8>> = generate(Kind::Weather, &options(12 * 120, 1)).collect();
    let (context, _) = context(&pipeline("weather"), &values).await;
    let context = &context;
    let rows = "SELECT count(*), min(readings), max(readings) FROM temperature_by_hour";
    check(context, rows, "24 60 60").await;
    check(context, "SELECT min(hour) FROM temperature_by_hour", "2026-03-01T01:00:00+01:00").await;
    check(context, "SELECT count(*), count(country) FROM latest_reading", "12 12").await;
    check(context, "SELECT country FROM latest_reading WHERE city = 'Bad Ischl'", "AT").await;
}

/// The real requests of all three layouts decode, and those that are in two of them are the same there.
#[tokio::test]
async fn real_service_requests_decode_in_every_layout() {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let data = std::env::var_os("DOVETAIL_SHARED_DATA").map_or_else(beside, PathBuf::from).join("nyc311");
    if !data.is_dir() {
        println!("skipped: real_service_requests_decode_in_every_layout: no data at {}", data.display());
        return;
    }
    let pipeline = pipeline("nyc311");
    let options = SourceOptions { stream: Arc::new(pipeline.streams[0].clone()), format: None, force: false };
    let all = SessionContext::new();
    let files = ["service_requests.ndjson.gz", "export_2000.csv", "export_old_layout.csv", "soda_page_fhrw-4uyv.json"];
    for (i, file) in files.iter().enumerate() {
        let reader = file::open(data.join(file).to_str().unwrap(), &options).unwrap();
        let values: Vec<Vec<u8>> = reader.map(|record| record.unwrap().value).collect();
        let (context, dead) = context(&pipeline, &values).await;
        assert_eq!(dead, 0, "{file}");
        let table = context.table_provider("service_requests").await.unwrap();
        all.register_table(format!("layout_{i}"), table).unwrap();
    }
    let columns = "agency, complaint_type, descriptor, incident_zip, city, borough, created_date, closed_date";
    for i in 1..files.len() {
        let both = format!("SELECT count(*) > 100 FROM layout_0 JOIN layout_{i} USING (unique_key)");
        check(&all, &both, "true").await;
        let differ = format!(
            "SELECT count(*) FROM (SELECT unique_key, {columns} FROM layout_{i} WHERE unique_key IN \
             (SELECT unique_key FROM layout_0) EXCEPT SELECT unique_key, {columns} FROM layout_0)"
        );
        check(&all, &differ, "0").await;
    }
}
