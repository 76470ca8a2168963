//! Random rows of one stream, and helpers to fold them in pieces.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, ListArray, RecordBatch,
    StringArray, TimestampMicrosecondArray, TimestampMillisecondArray,
};
use arrow::datatypes::Int64Type;
use bytes::Bytes;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

use super::super::{Folder, Planned, Planner, View, ViewError};
use crate::name::ViewName;
use crate::pipeline::{OnError, Pipeline, ViewSql};
use crate::stored;

pub(super) const PIPELINE: &str = "
CREATE EXTERNAL TABLE s (
  k VARCHAR, g BIGINT, i BIGINT, f DOUBLE, dec DECIMAL(18, 4), b BOOLEAN, t TIMESTAMP, tags BIGINT[], w DOUBLE
) STORED AS JSON LOCATION 'kafka://s';
CREATE EXTERNAL TABLE other (k VARCHAR, i BIGINT) STORED AS JSON LOCATION 'kafka://other';
CREATE EXTERNAL TABLE names (k VARCHAR, name VARCHAR) STORED AS CSV LOCATION 'names.csv';
";

#[derive(Debug, Clone, Default)]
pub(super) struct FoldedRow {
    k: Option<String>,
    g: Option<i64>,
    i: Option<i64>,
    f: Option<f64>,
    dec: Option<i128>,
    b: Option<bool>,
    t: Option<i64>,
    tags: Option<Vec<Option<i64>>>,
    /// From everywhere in the range of exponents where squares can be added up.
    w: Option<f64>,
}

pub(super) fn row() -> impl Strategy<Value = FoldedRow> {
    let key = prop_oneof![
        4 => Just(Some("a".to_owned())),
        2 => Just(Some("é日".to_owned())),
        1 => Just(Some(String::new())),
        1 => Just(None),
    ];
    let float = prop_oneof![
        8 => (-1e6..1e6f64).prop_map(Some),
        1 => Just(Some(f64::NAN)),
        1 => Just(Some(-0.0)),
        1 => Just(None),
    ];
    let wide = prop_oneof![
        8 => (-1080..500i32, -2.0..2.0f64).prop_map(|(e, x)| Some(x * 2f64.powi(e / 2) * 2f64.powi(e - e / 2))),
        1 => prop::sample::select(vec![f64::NAN, -f64::NAN, f64::INFINITY, -0.0, 0.0, 1e9 + 0.1]).prop_map(Some),
        1 => Just(None),
    ];
    let tags = prop::option::of(prop::collection::vec(prop::option::of(0..5i64), 0..4));
    (
        key,
        prop::option::of(0..4i64),
        prop::option::of(-1000..1000i64),
        float,
        prop::option::of(-1_000_000..1_000_000i128),
        prop::option::of(any::<bool>()),
        prop::option::of(0..100_000i64),
        tags,
        wide,
    )
        .prop_map(|(k, g, i, f, dec, b, t, tags, w)| FoldedRow { k, g, i, f, dec, b, t, tags, w })
}

/// A row of `g` alone.
pub(super) fn of_g(g: i64) -> FoldedRow {
    FoldedRow { g: Some(g), ..FoldedRow::default() }
}

/// `rows` as the stream's decoded batch; offsets skip every third number.
pub(super) fn batch(rows: &[FoldedRow]) -> RecordBatch {
    let n = rows.len();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|r| r.k.as_deref()).collect::<StringArray>()),
        Arc::new(rows.iter().map(|r| r.g).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|r| r.i).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|r| r.f).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|r| r.dec).collect::<Decimal128Array>().with_precision_and_scale(18, 4).unwrap()),
        Arc::new(rows.iter().map(|r| r.b).collect::<BooleanArray>()),
        Arc::new(rows.iter().map(|r| r.t.map(|t| t * 1_000_000)).collect::<TimestampMicrosecondArray>()),
        Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(rows.iter().map(|r| r.tags.clone()))),
        Arc::new(rows.iter().map(|r| r.w).collect::<Float64Array>()),
        Arc::new(Int32Array::from(vec![0; n])),
        Arc::new(Int64Array::from_iter_values((0..n as i64).map(|i| i + i / 2))),
        Arc::new(TimestampMillisecondArray::from(vec![0; n]).with_timezone("UTC")),
        Arc::new(BinaryArray::new_null(n)),
        Arc::new(StringArray::new_null(n)),
        Arc::new(BinaryArray::new_null(n)),
    ];
    let stream = pipeline().streams.remove(0);
    let schema = stream.decoded_schema();
    let columns =
        columns.into_iter().zip(schema.fields()).map(|(c, f)| arrow::compute::cast(&c, f.data_type()).unwrap());
    RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
}

pub(super) fn pipeline() -> Pipeline {
    static FOLDER: std::sync::LazyLock<tempfile::TempDir> = std::sync::LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("names.csv"), "k,name\na,Anna\nzz,Zoe\n").unwrap();
        folder
    });
    Pipeline::parse(PIPELINE, &FOLDER.path().join(Path::new("pipeline.sql"))).unwrap()
}

/// The planner's own tables, to plan without Dovetail.
pub(super) async fn context() -> SessionContext {
    let context = SessionContext::new_with_config(super::super::planning_config::planning_config());
    for stream in pipeline().streams {
        let table = MemTable::try_new(stream.decoded_schema(), vec![vec![]]).unwrap();
        context.register_table(stream.name.as_str(), Arc::new(table)).unwrap();
    }
    crate::pipeline::register_lookups(&pipeline(), &context).await.unwrap();
    context
}

pub(super) async fn plan(sql: &str) -> Result<Planned, ViewError> {
    plan_with(sql, None).await
}

pub(super) async fn plan_with(sql: &str, on_error: Option<OnError>) -> Result<Planned, ViewError> {
    let mut planner = Planner::new(&pipeline()).await.unwrap();
    let name = ViewName::parse("v").unwrap();
    planner.plan(&ViewSql { name, sql: sql.to_owned(), on_error, line: 1 }).await
}

pub(super) async fn view(sql: &str) -> Arc<View> {
    match plan(sql).await {
        Ok(Planned::Folded(view)) => view,
        Ok(Planned::Derived(_)) => panic!("`{sql}` is derived"),
        Err(error) => panic!("`{sql}`: {error} ({:?})", error.hint()),
    }
}

/// DataFusion's answer over the same rows, without fold and merge.
pub(super) async fn one_shot(sql: &str, rows: &RecordBatch) -> Vec<RecordBatch> {
    one_shot_of(&pipeline(), sql, rows).await.unwrap()
}

/// The same, for the stream `s` of another pipeline.
pub(super) async fn one_shot_of(
    pipeline: &Pipeline,
    sql: &str,
    rows: &RecordBatch,
) -> datafusion::common::Result<Vec<RecordBatch>> {
    let context = crate::sql::context(super::super::planning_config::planning_config());
    let table = MemTable::try_new(rows.schema(), vec![vec![rows.clone()]])?;
    context.register_table("s", Arc::new(table))?;
    crate::pipeline::register_lookups(pipeline, &context).await.unwrap();
    let plan = crate::sql::plan(&context.state(), sql).await?;
    context.execute_logical_plan(plan).await?.collect().await
}

pub(super) async fn fold(view: &Arc<View>, rows: &RecordBatch) -> Vec<RecordBatch> {
    let mut folder = Folder::new(view).unwrap();
    // Two batches through one folder: nothing may be remembered from the first.
    let half = rows.num_rows() / 2;
    folder.fold(&rows.slice(0, half)).await.unwrap();
    folder.fold(&rows.slice(half, rows.num_rows() - half)).await.unwrap();
    folder.take_state().unwrap()
}

pub(super) fn through_parquet(view: &View, state: &[RecordBatch]) -> Vec<RecordBatch> {
    let mut file = vec![];
    let schema = stored::schema(&view.state_schema());
    let mut writer = ArrowWriter::try_new(&mut file, Arc::clone(&schema), None).unwrap();
    for batch in state {
        writer.write(&stored::fitted(batch, &schema).unwrap()).unwrap();
    }
    writer.close().unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(file)).unwrap().build().unwrap();
    reader.map(|batch| stored::fitted(&batch.unwrap(), &view.state_schema()).unwrap()).collect()
}

/// Finishes states and runs what the SQL has above the aggregate.
pub(super) async fn answer(view: &View, states: &[RecordBatch]) -> Vec<RecordBatch> {
    let finished = view.finish(states, None).unwrap();
    let leaf = MemTable::try_new(view.leaf_schema(), vec![finished]).unwrap();
    let context = SessionContext::new();
    crate::functions::install(&context);
    let plan = view.answer_plan(Arc::new(leaf)).unwrap();
    context.execute_logical_plan(plan).await.unwrap().collect().await.unwrap()
}
