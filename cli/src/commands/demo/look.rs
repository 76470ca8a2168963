//! One sample of the engine's state, in SQL, for the panel.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Int64Type};
use dovetail_core::clock::Clock;
use dovetail_serving_layer::Serving;

/// The three schemas in one statement, so from one snapshot: the rows always add up.
const LAYERS: &str = "\
SELECT 'merged' AS layer, borough, sum(requests) AS n FROM requests_by_day GROUP BY borough
UNION ALL
SELECT 'speed', borough, sum(requests) FROM speed.requests_by_day GROUP BY borough";
const AND_BATCH: &str = "
UNION ALL
SELECT 'batch', borough, sum(requests) FROM batch.requests_by_day GROUP BY borough";
const PARTITIONS: &str = "SELECT partition, first, landed, cut, head, log_end FROM sys.partitions ORDER BY partition";
const LAST_RUN: &str = "\
SELECT rows, started, finished, generation, state, error FROM sys.batch_runs
WHERE finished IS NOT NULL ORDER BY id DESC LIMIT 1";
const DRIFT: &str = "SELECT count(*), count(*) FILTER (WHERE drift > 0) FROM sys.drift WHERE drift IS NOT NULL";
const DEAD: &str = "SELECT sum(dead_letters) FROM sys.streams";

/// The sampled state.
#[derive(Debug, Clone, Default)]
pub(super) struct DashboardData {
    pub(super) generation: u64,
    /// The groups, largest first.
    pub(super) groups: Vec<Group>,
    pub(super) partitions: Vec<PartitionOffsets>,
    pub(super) last_run: Option<LastRun>,
    /// Number of comparisons of the two layers, and of those with a difference.
    pub(super) compared: i64,
    pub(super) drifted: i64,
    /// Number of dead letters in the landing.
    pub(super) dead_letters: i64,
}

/// One row of the view in each layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) batch: i64,
    pub(super) speed: i64,
    pub(super) merged: i64,
}

/// Offsets of one partition.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PartitionOffsets {
    pub(super) first: i64,
    pub(super) landed: i64,
    pub(super) cut: i64,
    pub(super) head: i64,
    pub(super) end: i64,
}

#[derive(Debug, Clone)]
pub(super) struct LastRun {
    pub(super) rows: i64,
    pub(super) took_ms: i64,
    pub(super) ago_ms: i64,
    /// The error of a run that published nothing.
    pub(super) error: Option<String>,
}

impl DashboardData {
    pub(super) async fn take(serving: &Serving) -> Result<Self> {
        let generation = serving.generation().0;
        let layers = if generation == 0 { LAYERS.to_owned() } else { format!("{LAYERS}{AND_BATCH}") };
        let drift = rows(serving, DRIFT).await?;
        Ok(Self {
            generation,
            groups: groups(&rows(serving, &layers).await?)?,
            partitions: partitions(&rows(serving, PARTITIONS).await?)?,
            last_run: last_run(&rows(serving, LAST_RUN).await?)?,
            compared: first(&drift, 0)?,
            drifted: first(&drift, 1)?,
            dead_letters: first(&rows(serving, DEAD).await?, 0)?,
        })
    }

    /// The sum of all groups.
    pub(super) fn total(&self) -> Group {
        let sum = |of: fn(&Group) -> i64| self.groups.iter().map(of).sum();
        Group { name: "all".to_owned(), batch: sum(|g| g.batch), speed: sum(|g| g.speed), merged: sum(|g| g.merged) }
    }
}

async fn rows(serving: &Serving, sql: &str) -> Result<RecordBatch> {
    let answer = serving.query(sql).await?;
    let schema = Arc::clone(&answer.schema);
    Ok(concat_batches(&schema, &answer.collect().await?)?)
}

fn groups(rows: &RecordBatch) -> Result<Vec<Group>> {
    let (layers, names, numbers) = (texts(rows, 0)?, texts(rows, 1)?, integers(rows, 2)?);
    let mut groups: Vec<Group> = vec![];
    for row in 0..rows.num_rows() {
        let name = if names.is_null(row) { "(none)" } else { names.value(row) };
        let at = groups.iter().position(|group| group.name == name).unwrap_or_else(|| {
            groups.push(Group { name: name.to_owned(), ..Group::default() });
            groups.len() - 1
        });
        let (group, number) = (&mut groups[at], numbers.value(row));
        match layers.value(row) {
            "batch" => group.batch = number,
            "speed" => group.speed = number,
            _ => group.merged = number,
        }
    }
    groups.sort_by(|a, b| b.merged.cmp(&a.merged).then_with(|| a.name.cmp(&b.name)));
    Ok(groups)
}

fn partitions(rows: &RecordBatch) -> Result<Vec<PartitionOffsets>> {
    let columns = (1..6).map(|column| integers(rows, column)).collect::<Result<Vec<_>>>()?;
    let partition = |row: usize| {
        let [first, landed, cut, head, end] = std::array::from_fn(|column| columns[column].value(row));
        PartitionOffsets { first, landed, cut, head, end }
    };
    Ok((0..rows.num_rows()).map(partition).collect())
}

fn last_run(rows: &RecordBatch) -> Result<Option<LastRun>> {
    if rows.num_rows() == 0 {
        return Ok(None);
    }
    let (started, finished) = (first(rows, 1)?, first(rows, 2)?);
    let (generation, state, error) = (integers(rows, 3)?, texts(rows, 4)?, texts(rows, 5)?);
    let why = || if error.is_null(0) { state.value(0).to_owned() } else { error.value(0).to_owned() };
    Ok(Some(LastRun {
        rows: first(rows, 0)?,
        took_ms: finished - started,
        ago_ms: (Clock::System.now_ms() - finished).max(0),
        error: generation.is_null(0).then(why),
    }))
}

/// The number in the first row; a null counts as 0.
fn first(rows: &RecordBatch, column: usize) -> Result<i64> {
    let column = integers(rows, column)?;
    Ok(if column.is_empty() || column.is_null(0) { 0 } else { column.value(0) })
}

fn integers(rows: &RecordBatch, column: usize) -> Result<Int64Array> {
    Ok(cast(rows.column(column), &DataType::Int64)?.as_primitive::<Int64Type>().clone())
}

fn texts(rows: &RecordBatch, column: usize) -> Result<StringArray> {
    Ok(cast(rows.column(column), &DataType::Utf8)?.as_string().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_layers_are_put_side_by_side() {
        let layers = StringArray::from(vec!["merged", "merged", "batch", "speed"]);
        let boroughs = StringArray::from(vec![Some("BRONX"), None, None, Some("BRONX")]);
        let numbers = Int64Array::from(vec![2, 7, 7, 2]);
        let rows = RecordBatch::try_from_iter_with_nullable([
            ("layer", Arc::new(layers) as _, false),
            ("borough", Arc::new(boroughs) as _, true),
            ("n", Arc::new(numbers) as _, true),
        ]);
        let bronx = Group { name: "BRONX".to_owned(), batch: 0, speed: 2, merged: 2 };
        let none = Group { name: "(none)".to_owned(), batch: 7, speed: 0, merged: 7 };
        assert_eq!(groups(&rows.unwrap()).unwrap(), [none, bronx]);
    }
}
