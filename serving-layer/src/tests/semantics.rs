//! Statements as PostgreSQL answers them, over its wire. `tests/postgres/answers.txt` is PostgreSQL's alone, see
//! `expected.py` beside it; where the answer is another one here, `differences.txt` says which, and why.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, new_null_array};
use arrow::json::ReaderBuilder;
use dovetail_core::pipeline::Pipeline;
use tokio_postgres::SimpleQueryMessage;

use super::postgres::wire_of;
use super::world::{World, config};

const PIPELINE: &str = "
CREATE EXTERNAL TABLE s (
  id BIGINT, g VARCHAR, x INT, b BIGINT, d DOUBLE, n DECIMAL(12,2), t VARCHAR, ts TIMESTAMP, dt DATE, bo BOOLEAN,
  ar BIGINT[], hex VARCHAR
) STORED AS JSON LOCATION 'kafka://Clicks' OPTIONS ('partitions' '2');
CREATE VIEW v AS SELECT id, g, x, b, d, n, t, ts, dt, bo, ar, decode(hex, 'hex') AS \"by\" FROM s;
";

fn file(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postgres");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

pub(super) async fn world() -> World {
    let world = World::with(PIPELINE, config()).await;
    let pipeline = Pipeline::parse(PIPELINE, Path::new("pipeline.sql")).unwrap();
    let schema = pipeline.streams[0].decoded_schema();
    let columns = Arc::clone(&pipeline.streams[0].columns);
    let mut decoder = ReaderBuilder::new(columns).build_decoder().unwrap();
    // PostgreSQL rounds 2.675 to the column's two digits.
    let rows = file("rows.ndjson").replace("\"by\"", "\"hex\"").replace("2.675", "2.68");
    decoder.decode(rows.as_bytes()).unwrap();
    let all = decoder.flush().unwrap().unwrap();
    let mut partitions = world.rows.partitions.lock().unwrap();
    for row in 0..all.num_rows() {
        let partition = row as i32 % 2;
        let rows = partitions.get_mut(&partition).unwrap();
        let mut columns: Vec<ArrayRef> = all.slice(row, 1).columns().to_vec();
        columns.push(Arc::new(Int32Array::from(vec![partition])));
        columns.push(Arc::new(Int64Array::from(vec![rows.len() as i64])));
        let rest = schema.fields()[columns.len()..].iter().map(|field| new_null_array(field.data_type(), 1));
        columns.extend(rest.collect::<Vec<_>>());
        rows.push(RecordBatch::try_new(Arc::clone(&schema), columns).unwrap());
    }
    drop(partitions);
    world
}

/// Blocks of a statement and its answer, by statement, in their order.
fn blocks(text: &str) -> Vec<(&str, Vec<&str>)> {
    let blocks = text.split("\n\n").map(|block| block.trim_end_matches('\n').lines());
    blocks
        .filter_map(|mut lines| Some((lines.next()?, lines.filter(|line| !line.starts_with("--")).collect())))
        .collect()
}

/// The same text, whoever wrote a number or a time: `1.50` is `1.5`, `10:00:00.500` is `10:00:00.5`.
fn plain(answer: &str) -> String {
    let mut plain = String::new();
    let mut rest = answer;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        let end = rest[at..].find(|c: char| !(c.is_ascii_digit() || c == '.')).map_or(rest.len(), |end| at + end);
        plain.push_str(&rest[..at]);
        let number = &rest[at..end];
        plain.push_str(match number.matches('.').count() {
            1 => number.trim_end_matches('0').trim_end_matches('.'),
            _ => number,
        });
        rest = &rest[end..];
    }
    plain + rest
}

/// Without an order that is asked for, rows are compared sorted.
fn in_order<T: Ord>(sql: &str, mut rows: Vec<T>) -> Vec<T> {
    if !sql.contains("ORDER BY") {
        rows.sort();
    }
    rows
}

async fn answer(client: &tokio_postgres::Client, sql: &str) -> Vec<String> {
    let messages = match client.simple_query(sql).await {
        Ok(messages) => messages,
        Err(error) => {
            let error = error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
            return vec![format!("! {}", error.replace('\n', " "))];
        }
    };
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let values = (0..row.len()).map(|column| row.get(column).unwrap_or("NULL").replace('\n', "\\n"));
            Some(format!("= {}", values.collect::<Vec<_>>().join("|")))
        }
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}

fn same(postgres: &[&str], ours: &[String]) -> bool {
    match postgres {
        [error] if error.starts_with("! ") => matches!(ours, [error] if error.starts_with("! ")),
        rows => {
            rows.len() == ours.len() && rows.iter().zip(ours).all(|(a, b)| plain(a.trim_end()) == plain(b.trim_end()))
        }
    }
}

/// An error is described by how it begins.
fn described(difference: &[&str], ours: &[String]) -> bool {
    difference.len() == ours.len()
        && difference.iter().zip(ours).all(|(described, ours)| match described.starts_with("! ") {
            true => ours.starts_with(described),
            false => plain(described.trim_end()) == plain(ours.trim_end()),
        })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_are_answered_as_postgresql_answers_them_or_the_difference_is_known() {
    let world = world().await;
    let wire = wire_of(world).await;
    let client = wire.client().await;
    let (answers, differences) = (file("answers.txt"), file("differences.txt"));
    let differences: BTreeMap<&str, Vec<&str>> = blocks(&differences).into_iter().collect();
    let (mut equal, mut wrong) = (0, String::new());
    let answers = blocks(&answers);
    for (sql, postgres) in &answers {
        let ours = in_order(sql, answer(&client, sql).await);
        let postgres = in_order(sql, postgres.clone());
        let difference = differences.get(sql).cloned();
        let is_right = match (&difference, same(&postgres, &ours)) {
            (None, true) => {
                equal += 1;
                true
            }
            (Some(difference), false) => described(difference, &ours),
            _ => false,
        };
        if !is_right {
            wrong +=
                &format!("{sql}\n  PostgreSQL\n    {}\n  here\n    {}\n", postgres.join("\n    "), ours.join("\n    "));
            if let Some(difference) = difference {
                wrong += &format!("  differences.txt\n    {}\n", difference.join("\n    "));
            }
        }
    }
    println!("{equal} of {} statements are answered as PostgreSQL answers them", answers.len());
    assert!(wrong.is_empty(), "{wrong}");
    let unknown: Vec<_> = differences.keys().filter(|sql| answers.iter().all(|(asked, _)| asked != *sql)).collect();
    assert!(unknown.is_empty(), "no statements of answers.txt: {unknown:?}");
}
