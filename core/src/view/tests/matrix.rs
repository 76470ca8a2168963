//! Every aggregate function over every type of column: refused in words of ours, or folded in pieces, merged in any
//! order, through Parquet, to what DataFusion answers at once over the same rows.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::common::DataFusionError;
use futures::FutureExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use super::super::{Exactness, Folder, Planned, Planner, View, ViewError, compare_answers, try_out};
use super::rows::{answer, one_shot_of, through_parquet};
use crate::name::ViewName;
use crate::pipeline::{Pipeline, ViewSql};
use crate::view::sample_rows;

const COLUMNS: &[(&str, &str)] = &[
    ("bo", "BOOLEAN"),
    ("i8", "TINYINT"),
    ("i16", "SMALLINT"),
    ("i32", "INT"),
    ("i64", "BIGINT"),
    ("u8", "TINYINT UNSIGNED"),
    ("u16", "SMALLINT UNSIGNED"),
    ("u32", "INT UNSIGNED"),
    ("u64", "BIGINT UNSIGNED"),
    ("f32", "REAL"),
    ("f64", "DOUBLE"),
    ("d9", "DECIMAL(9, 2)"),
    ("d38", "DECIMAL(38, 10)"),
    ("d60", "DECIMAL(60, 10)"),
    ("te", "VARCHAR"),
    ("by", "BYTEA"),
    ("da", "DATE"),
    ("ti", "TIME"),
    ("ts", "TIMESTAMP"),
    ("ms", "TIMESTAMP(3)"),
    ("tz", "TIMESTAMP WITH TIME ZONE"),
    ("li", "BIGINT[]"),
    ("lt", "VARCHAR[]"),
    ("st", "STRUCT<a BIGINT, b VARCHAR>"),
];

/// Calls of a function over a column `{c}`; also with DISTINCT where that means something.
fn calls(function: &str) -> Vec<String> {
    let texts: &[&str] = match function {
        "percentile_cont" | "approx_percentile_cont" => &["{f}(0.5) WITHIN GROUP (ORDER BY {c})"],
        "approx_percentile_cont_with_weight" => &["{f}(g + 1, 0.5) WITHIN GROUP (ORDER BY {c})"],
        "corr" | "covar_pop" | "covar_samp" => &["{f}({c}, g)"],
        "max_by" | "min_by" => &["{f}({c}, _offset)", "{f}(g, {c})"],
        "approx_top_k" => &["{f}({c}, 50)"],
        "approx_percentile_bounds" => &["{f}({c}, 0.5)"],
        name if name.starts_with("regr_") => &["{f}({c}, g)"],
        "string_agg" => {
            &["{f}({c}, ',' ORDER BY _offset)", "{f}({c}, '-' ORDER BY {c} DESC)", "{f}(DISTINCT {c}, ',')"]
        }
        "nth_value" => &[
            "{f}({c}, 2 ORDER BY _offset)",
            "{f}({c}, -3 ORDER BY {c})",
            "{f}(g, 2 ORDER BY {c} DESC NULLS LAST, _offset)",
        ],
        "first_value" | "last_value" => {
            &["{f}({c} ORDER BY _offset)", "{f}({c} ORDER BY {c} DESC)", "{f}({c} ORDER BY {c}) FILTER (WHERE g > 0)"]
        }
        "array_agg" => &["{f}({c} ORDER BY _offset)", "{f}({c} ORDER BY {c} DESC)", "{f}(DISTINCT {c})"],
        "grouping" => &["{f}({c})"],
        "count" | "sum" | "avg" | "median" => &["{f}({c})", "{f}(DISTINCT {c})", "{f}({c}) FILTER (WHERE g > 0)"],
        _ => &["{f}({c})"],
    };
    texts.iter().map(|text| text.replace("{f}", function)).collect()
}

fn pipeline() -> Pipeline {
    let columns: Vec<String> = COLUMNS.iter().map(|(name, data_type)| format!("{name} {data_type}")).collect();
    let sql =
        format!("CREATE EXTERNAL TABLE s (g BIGINT, {}) STORED AS JSON LOCATION 'kafka://s';", columns.join(", "));
    Pipeline::parse(&sql, std::path::Path::new("pipeline.sql")).unwrap()
}

/// Rows with small groups, NULLs, repeated values; offsets as they come, in an order that no column has.
fn rows(seed: u64) -> RecordBatch {
    let schema = pipeline().streams[0].decoded_schema();
    let made_up = sample_rows::rows(&schema, false).unwrap();
    let mut random = StdRng::seed_from_u64(seed);
    let columns = schema.fields().iter().enumerate().map(|(c, field)| {
        let picks: Vec<u32> = (0..ROWS).map(|_| random.random_range(0..made_up.num_rows() as u32)).collect();
        match field.name().as_str() {
            "g" => {
                Arc::new((0..ROWS).map(|_| Some(random.random_range(0..3_i64))).collect::<arrow::array::Int64Array>())
                    as _
            }
            "_partition" => Arc::new(arrow::array::Int32Array::from(vec![0; ROWS])) as _,
            "_offset" => Arc::new(arrow::array::Int64Array::from_iter_values(0..ROWS as i64)) as _,
            _ => arrow::compute::take(made_up.column(c), &arrow::array::UInt32Array::from(picks), None).unwrap(),
        }
    });
    RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
}

const ROWS: usize = 40;

/// Folds pieces of `rows` in any order, each in two batches, and merges them two by two in any order.
async fn folded(
    view: &Arc<View>,
    rows: &RecordBatch,
    random: &mut StdRng,
) -> datafusion::common::Result<Vec<RecordBatch>> {
    let mut pieces = vec![];
    let mut from = 0;
    while from < rows.num_rows() {
        let length = random.random_range(1..=(rows.num_rows() - from).min(15));
        pieces.push(rows.slice(from, length));
        from += length;
    }
    pieces.shuffle(random);
    let mut states = vec![];
    for pair in pieces.chunks(2) {
        let mut folder = Folder::new(view)?;
        for piece in pair {
            folder.fold(piece).await.map_err(|error| DataFusionError::External(Box::new(error)))?;
            assert!(folder.errors().is_empty(), "{}", folder.errors().listed[0]);
        }
        states.push(folder.take_state()?);
    }
    while states.len() > 1 {
        let left = states.swap_remove(random.random_range(0..states.len()));
        let right = states.swap_remove(random.random_range(0..states.len()));
        let merged = view.merge(&[left, right].concat())?;
        states.push(if random.random() { through_parquet(view, &merged) } else { merged });
    }
    answer_of(view, &states.concat()).await
}

async fn answer_of(view: &View, states: &[RecordBatch]) -> datafusion::common::Result<Vec<RecordBatch>> {
    Ok(answer(view, states).await)
}

enum Cell {
    Right,
    /// Folded, merged and finished, and nothing to compare it with.
    Alone,
    Refused(String),
    Wrong(String),
}

/// A set is in the order of its values, which plain DataFusion needs an ORDER BY for.
fn spelled_out(sql: &str) -> String {
    let Some((before, rest)) = sql.split_once("_agg(DISTINCT ") else { return sql.to_owned() };
    let (inside, after) = rest.split_once(')').unwrap();
    let (column, delimiter) = inside.split_once(',').map_or((inside, String::new()), |(c, d)| (c, format!(",{d}")));
    let value = if delimiter.is_empty() { column.to_owned() } else { format!("CAST({column} AS VARCHAR)") };
    format!("{before}_agg(DISTINCT {value}{delimiter} ORDER BY {value}){after}")
}

async fn cell(planner: &mut Planner, pipeline: &Pipeline, n: usize, sql: &str) -> Cell {
    let name = ViewName::parse(&format!("v{n}")).unwrap();
    let definition = ViewSql { name, sql: sql.to_owned(), on_error: None, line: 1 };
    let view = match planner.plan(&definition).await {
        Ok(Planned::Folded(view)) => view,
        Ok(Planned::Derived(_)) => return Cell::Wrong("derived".to_owned()),
        Err(ViewError::Refused(refusal)) => return Cell::Refused(refusal.message),
        // Functions of ours name themselves and what they take.
        Err(ViewError::Plan(error)) if error.find_root().to_string().contains("` takes ") => {
            return Cell::Refused(error.to_string());
        }
        Err(ViewError::Plan(error)) => return Cell::Wrong(format!("raw message: {error}")),
    };
    match try_out(&view, &pipeline.streams[0].decoded_schema()).await {
        Ok(_) => {}
        Err(ViewError::Refused(refusal)) => return Cell::Refused(refusal.message),
        Err(ViewError::Plan(error)) => return Cell::Wrong(format!("raw message of the trial: {error}")),
    }
    for seed in 0..2 {
        let rows = rows(seed);
        let mut random = StdRng::seed_from_u64(100 + seed);
        let answered = match folded(&view, &rows, &mut random).await {
            Ok(answered) => answered,
            Err(error) => return Cell::Wrong(format!("accepted, and then: {error}")),
        };
        let expected = match one_shot_of(pipeline, &spelled_out(sql), &rows).await {
            Ok(expected) => expected,
            // An answer that fails in one fold cannot be compared.
            Err(_) => return Cell::Alone,
        };
        let schema = view.answer_schema();
        let named = |batches: &[RecordBatch]| -> Vec<RecordBatch> {
            let schema = nullable(&schema);
            batches.iter().map(|b| RecordBatch::try_new(Arc::clone(&schema), b.columns().to_vec()).unwrap()).collect()
        };
        // Of so few values a t-digest holds each, but for those with weights.
        let exactness = match sql.contains("with_weight") {
            true => view.answer_exactness().to_vec(),
            false => vec![Exactness::Bits; view.answer_exactness().len()],
        };
        let different = compare_answers(&nullable(&schema), &named(&expected), &named(&answered), &exactness).unwrap();
        if !different.is_empty() {
            return Cell::Wrong(format!("DataFusion | folded: {different:?}"));
        }
        assert!(concat_batches(&nullable(&schema), &named(&answered)).is_ok());
    }
    Cell::Right
}

fn nullable(schema: &arrow::datatypes::SchemaRef) -> arrow::datatypes::SchemaRef {
    let fields = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true));
    Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()))
}

#[tokio::test]
async fn each_aggregate_over_each_type_is_refused_or_right() {
    let pipeline = pipeline();
    let mut planner = Planner::new(&pipeline).await.unwrap();
    let mut functions: Vec<String> =
        planner.context().state().aggregate_functions().values().map(|f| f.name().to_owned()).collect();
    functions.sort();
    functions.dedup();
    let (mut right, mut alone, mut refused, mut wrong, mut n) =
        (0, 0, std::collections::BTreeMap::<String, Vec<String>>::new(), vec![], 0);
    for function in &functions {
        for (column, data_type) in COLUMNS {
            for call in calls(function) {
                let call = call.replace("{c}", column);
                let grouping = function == "grouping";
                let by_g =
                    format!("SELECT {} AS x, {call} AS v FROM s GROUP BY 1", if grouping { column } else { "g" });
                let whole = format!("SELECT {call} AS v FROM s");
                for sql in if grouping { vec![by_g] } else { vec![by_g, whole] } {
                    n += 1;
                    let cell = AssertUnwindSafe(cell(&mut planner, &pipeline, n, &sql)).catch_unwind().await;
                    match cell.unwrap_or_else(|_| Cell::Wrong("it panics".to_owned())) {
                        Cell::Right => right += 1,
                        Cell::Alone => alone += 1,
                        Cell::Refused(message) => refused.entry(message).or_default().push(sql),
                        Cell::Wrong(why) => wrong.push(format!("{sql}   ({data_type}): {why}")),
                    }
                }
            }
        }
    }
    for (message, of) in &refused {
        println!("refused {:3}: {message}   {}", of.len(), of[0]);
    }
    println!(
        "{} functions x {} types: {n} cells, {right} right, {alone} not compared, {} refused, {} wrong",
        functions.len(),
        COLUMNS.len(),
        refused.values().map(Vec::len).sum::<usize>(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
