//! Records that can be told from all others in an answer, and the time until they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use arrow::datatypes::DataType;
use chrono::{DateTime, SecondsFormat, Utc};
use dovetail_api::Client;
use dovetail_connectors::sources::file::EventTime;
use dovetail_core::clock;
use dovetail_core::pipeline::Stream;
use dovetail_core::view::View;
use serde_json::Value;

use super::ask;
use super::feed::Feed;
use super::sample::Sample;
use super::workload::Workload;

/// The first number of a probe's key; those of records are below it.
const FIRST_KEY: u64 = 4_000_000_000_000;
/// Time for a record to be in an answer.
const SEEN_TIMEOUT: Duration = Duration::from_secs(30);

/// A view in which a record is found by its key.
pub(super) struct Probe {
    view: String,
    key: String,
    is_number: bool,
    stream: Arc<Stream>,
    /// The record that is sent with other keys, as bytes and as its values.
    record: Vec<u8>,
    sample: Sample,
    next: AtomicU64,
}

impl Probe {
    /// The first view that has a column of the stream among its own, a whole number rather than a text.
    pub(super) fn find(workload: &Workload) -> Result<Self> {
        let candidates = workload.views.iter().filter(|view| takes_every_record(view));
        let keys = candidates.filter_map(|view| Some((view, key(view, &workload.stream)?)));
        let (view, (key, is_number)) = keys
            .min_by_key(|(_, (_, is_number))| !is_number)
            .context("no view of all records has a text or a whole number of the stream among its columns")?;
        let record = workload.records.first().context("there are no records")?;
        Ok(Self {
            view: view.name.to_string(),
            key,
            is_number,
            stream: Arc::clone(&workload.stream),
            record: record.clone(),
            sample: Sample::read(&workload.stream, record)?,
            next: AtomicU64::new(FIRST_KEY),
        })
    }

    /// Sends a record, its event time so many milliseconds before that of the first record, and returns the
    /// milliseconds from its acknowledgement until an answer has it.
    pub(super) async fn seen_after_ms(&self, client: &Client, late_ms: i64) -> Result<f64> {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let (value, literal) = match self.is_number {
            true => (Value::from(n), n.to_string()),
            false => (Value::from(format!("probe-{n}")), format!("'probe-{n}'")),
        };
        let mut record = self.sample.clone();
        record.set(&self.key, value)?;
        if late_ms > 0 {
            let time = earlier(&self.stream, &self.record, late_ms)?;
            let column = self.stream.options.event_time.as_deref().context("the stream has no event time")?;
            record.set(column, Value::from(time))?;
        }
        let sql = format!("SELECT count(*) FROM {} WHERE {} = {literal}", self.view, self.key);
        Feed::new(client, self.stream.name.as_str()).send(&[record.bytes()?]).await?;
        let acknowledged = clock::now_monotonic();
        while ask::number(client, &sql).await? < 1.0 {
            if acknowledged.elapsed() > SEEN_TIMEOUT {
                bail!("a record was in no answer of `{}` within {SEEN_TIMEOUT:?}", self.view);
            }
        }
        Ok(acknowledged.elapsed().as_secs_f64() * 1e3)
    }
}

/// Whether each record of the stream is in a row of the view. A filter or a join could leave the probes out.
fn takes_every_record(view: &View) -> bool {
    view.is_aggregate() && view.filter_of_rows().is_none() && !view.sql.to_ascii_uppercase().contains("JOIN")
}

/// The column of the stream by which rows of the view are found, and whether it holds whole numbers.
pub(super) fn key(view: &View, stream: &Stream) -> Option<(String, bool)> {
    let answer = view.answer_schema();
    let types = answer.fields().iter().filter_map(|field| {
        let column = stream.columns.field_with_name(field.name()).ok()?;
        (column.data_type() == field.data_type()).then(|| (field.name().clone(), field.data_type().clone()))
    });
    let keys: Vec<(String, bool)> = types
        .filter_map(|(name, data_type)| match data_type {
            DataType::Int64 | DataType::UInt64 => Some((name, true)),
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => Some((name, false)),
            _ => None,
        })
        .collect();
    keys.iter().find(|(_, is_number)| *is_number).or(keys.first()).cloned()
}

/// The event time of `record` less `late_ms`, as text.
fn earlier(stream: &Stream, record: &[u8], late_ms: i64) -> Result<String> {
    let event_time = EventTime::of(stream).context("the stream has no event time")?;
    let ms = event_time.read_ms(record).context("the first record has no event time")?;
    let time: DateTime<Utc> = DateTime::from_timestamp_millis(ms - late_ms).context("the event time is too early")?;
    Ok(time.to_rfc3339_opts(SecondsFormat::Millis, true))
}
