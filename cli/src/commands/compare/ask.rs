//! Questions to a server, and waiting for their answers.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use dovetail_api::Client;
use dovetail_api::verify::Verdict;
use dovetail_core::clock;
use dovetail_report::figures::Side;
use tokio::time::timeout;

/// Time for one query.
const QUERY_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for one verification.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(600);
/// Time for a server to reach the head of the log.
pub(super) const REACH_TIMEOUT: Duration = Duration::from_secs(600);
/// Pause between two looks at a server that has not got there.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// The records that are in every answer, and those that the log has had.
const HEADS: &str = "SELECT sum(coalesce(head, 0)) FROM sys.partitions";
const LANDED: &str = "SELECT sum(coalesce(landed, 0)) FROM sys.partitions";
const LOG_END: &str = "SELECT sum(log_end) FROM sys.partitions";

/// The rows of an answer, each as a list of texts.
pub(super) async fn cells(client: &Client, sql: &str) -> Result<Vec<Vec<String>>> {
    let answered = timeout(QUERY_TIMEOUT, client.query(sql)).await;
    let (_, batches) = answered.with_context(|| format!("no answer within {QUERY_TIMEOUT:?}: {sql}"))??;
    texts(&batches)
}

/// Rows as lists of texts.
pub(super) fn texts(batches: &[RecordBatch]) -> Result<Vec<Vec<String>>> {
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = vec![];
    for batch in batches {
        let columns = batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let row = |n| columns.iter().map(|column| column.value(n).to_string()).collect();
        rows.extend((0..batch.num_rows()).map(row));
    }
    Ok(rows)
}

/// The number that `sql` returns; 0 when it is null.
pub(super) async fn number(client: &Client, sql: &str) -> Result<f64> {
    let answered = timeout(QUERY_TIMEOUT, client.query(sql)).await;
    let (_, batches) = answered.with_context(|| format!("no answer within {QUERY_TIMEOUT:?}: {sql}"))??;
    let column = batches.iter().find(|batch| batch.num_rows() > 0).and_then(|batch| batch.columns().first());
    let numbers = cast(column.context("there is no answer")?, &DataType::Float64)?;
    Ok(numbers.as_primitive::<Float64Type>().iter().next().flatten().unwrap_or(0.0))
}

/// Waits until `sql` returns at least `least`; errors count as not yet.
pub(super) async fn until(client: &Client, sql: &str, least: f64, limit: Duration) -> Result<()> {
    let began = clock::now_monotonic();
    loop {
        let now = number(client, sql).await;
        if now.as_ref().is_ok_and(|now| *now >= least) {
            return Ok(());
        }
        if began.elapsed() > limit {
            match now {
                Ok(now) => bail!("`{sql}` is {now} and not {least} after {limit:?}"),
                Err(error) => return Err(error.context(format!("`{sql}` has no answer after {limit:?}"))),
            }
        }
        clock::sleep(LOOK_INTERVAL).await;
    }
}

/// Waits until every answer has `records` records.
pub(super) async fn until_head(client: &Client, records: u64) -> Result<()> {
    until(client, HEADS, records as f64, REACH_TIMEOUT).await
}

/// Waits until `records` records are landed.
pub(super) async fn until_landed(client: &Client, records: u64) -> Result<()> {
    until(client, LANDED, records as f64, REACH_TIMEOUT).await
}

/// The records that the log has had.
pub(super) async fn log_end(client: &Client) -> Result<u64> {
    Ok(number(client, LOG_END).await? as u64)
}

/// The records that are in every answer.
pub(super) async fn head(client: &Client) -> Result<u64> {
    Ok(number(client, HEADS).await? as u64)
}

/// Waits until every answer has all records of the log; returns their number.
pub(super) async fn settle(side: Side, client: &Client) -> Result<u64> {
    let records = log_end(client).await?;
    until_head(client, records).await?;
    if side == Side::Lambda {
        until_landed(client, records).await?;
    }
    Ok(records)
}

/// The verdict on each view that readers get, by the view's own name.
pub(super) async fn verify(client: &Client) -> Result<Vec<Verdict>> {
    let verdicts = timeout(VERIFY_TIMEOUT, client.verify(vec![])).await;
    let mut verdicts = verdicts.with_context(|| format!("no verdict within {VERIFY_TIMEOUT:?}"))??;
    for verdict in &mut verdicts {
        if let Some(view) = verdict.view.strip_prefix("kappa.") {
            verdict.view = view.to_owned();
        }
    }
    Ok(verdicts)
}

/// Whether no view differs from a fold of the whole log.
pub(super) async fn is_exact(client: &Client) -> Result<bool> {
    Ok(verify(client).await?.iter().all(|verdict| verdict.differences == 0))
}
