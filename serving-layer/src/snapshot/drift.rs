//! Drift: compares the two layers over the range that a run took over from the speed layer.
//!
//! ```text
//! previous generation ──────┤ cut                     finish(previous states + slices of the range)
//! speed layer               ├──slices──┤ new cut        must equal
//! new generation      ─────────────────┤              finish(new states)
//! ```

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use dovetail_core::catalog::{Drift, GenerationRow};
use dovetail_core::clock;
use dovetail_core::manifest::ViewStates;
use dovetail_core::meet::meet;
use dovetail_core::name::{Generation, ViewName};
use dovetail_core::offsets::Cut;
use dovetail_core::realtime::{RealtimeView, Slice};
use dovetail_core::view::{Difference, View, compare_answers};
use tracing::{debug, error, warn};

use crate::error::{QueryError, Reason};
use crate::memory::Pool;
use crate::snapshot::generation::{Filled, Served, read};
use crate::snapshot::layers::Layers;

/// Interval of polls of the served generation: a comparison has the speed layer's whole grace period.
const GENERATION_POLL_INTERVAL: Duration = Duration::from_millis(100);
/// Greatest number of generations compared in a row when several were published since the last poll.
const COMPARED_AT_ONCE_MAX: usize = 8;
/// Number of generations searched for those published since.
const GENERATIONS_LISTED_MAX: u32 = 1000;

/// Compares the layers whenever the served generation changes, for ever.
pub(crate) async fn watch(layers: Arc<Layers>) {
    let mut watch = DriftWatch::start(&layers).await;
    loop {
        clock::sleep(GENERATION_POLL_INTERVAL).await;
        if let Err(error) = watch.look(&layers).await {
            warn!(%error, "it cannot be told which generations are to be compared; looking again");
        }
    }
}

/// The progress of comparing. Every published generation is compared with the one before, or has rows with the reason
/// why it was not.
#[derive(Debug)]
pub(crate) struct DriftWatch {
    /// The generation before the next one to be compared.
    before: Arc<Served>,
    /// The latest generation examined.
    done: Generation,
}

impl DriftWatch {
    /// Starts with the served generation. Earlier ones are not compared any more: for kept ones without a comparison
    /// the reason is recorded.
    pub(crate) async fn start(layers: &Arc<Layers>) -> Self {
        let before = layers.served();
        let done = before.generation();
        if let Err(error) = explain_earlier(layers, done).await {
            warn!(%error, "it cannot be told which generations were compared");
        }
        Self { before, done }
    }

    /// Compares the generations published since.
    pub(crate) async fn look(&mut self, layers: &Arc<Layers>) -> Result<(), QueryError> {
        let now = layers.served();
        // A rollback takes nothing over from the speed layer.
        if now.generation() > self.done {
            let mut published = layers.catalog.generations(GENERATIONS_LISTED_MAX).await?;
            published.retain(|row| row.generation > self.done && row.generation <= now.generation());
            published.sort_by_key(|row| row.generation);
            let superseded = published.len().saturating_sub(COMPARED_AT_ONCE_MAX);
            for (i, row) in published.into_iter().enumerate() {
                let next = match read(Some(row.clone())) {
                    Ok(next) => Arc::new(next),
                    Err(error) => {
                        let views = layers.folded().map(|view| view.name.clone()).collect();
                        not_compared(layers, &row, views, &error.message).await;
                        self.done = row.generation;
                        continue;
                    }
                };
                match i < superseded {
                    true => {
                        let why = format!("superseded by generation {}", now.generation());
                        not_compared(layers, &row, names(&next), &why).await;
                    }
                    false => compare(layers, &self.before, &next).await,
                }
                (self.before, self.done) = (next, row.generation);
            }
        }
        self.before = now;
        Ok(())
    }
}

/// Records for kept generations up to `last` without a comparison why that is so.
async fn explain_earlier(layers: &Layers, last: Generation) -> Result<(), QueryError> {
    let rows = layers.catalog.generations(GENERATIONS_LISTED_MAX).await?;
    let known = layers.catalog.drifts(GENERATIONS_LISTED_MAX).await?;
    for row in rows.into_iter().filter(|row| row.retired_ms.is_none() && row.generation <= last) {
        let mut views = names(&read(Some(row.clone()))?);
        views.retain(|view| !known.iter().any(|drift| drift.run_id == row.run_id && drift.view == *view));
        not_compared(layers, &row, views, "it was published before a serving process looked").await;
    }
    Ok(())
}

fn names(served: &Served) -> Vec<ViewName> {
    served.manifest.iter().flat_map(|manifest| manifest.views.keys().cloned()).collect()
}

async fn not_compared(layers: &Layers, row: &GenerationRow, views: Vec<ViewName>, why: &str) {
    for view in views {
        record(layers, row.run_id, row.generation, &view, Err(why.to_owned())).await;
    }
}

/// Compares every view of `now` with that of `before`, and records the results.
pub(crate) async fn compare(layers: &Arc<Layers>, before: &Served, now: &Served) {
    let Some(manifest) = &now.manifest else { return };
    for view in layers.folded() {
        let Filled::States(new) = now.filled(view) else { continue };
        let found = match before.filled(view) {
            Filled::States(old) => drift(layers, view, old, new).await.map_err(|error| error.to_string()),
            Filled::Nothing => Err("nothing was published before it".to_owned()),
            Filled::NotYet => Err(format!("generation {} does not hold the view as it is now", before.generation())),
        };
        record(layers, manifest.run_id, manifest.generation, &view.name, found).await;
    }
}

/// Records the result, or the reason why the view was not compared.
async fn record(
    layers: &Layers,
    run_id: i64,
    generation: Generation,
    view: &ViewName,
    found: Result<(f64, u64, String), String>,
) {
    let (drift, compared_rows, detail) = found.unwrap_or_else(|why| (f64::NAN, 0, format!("not compared: {why}")));
    if drift > 0.0 {
        error!(%view, %generation, drift, detail, "the two layers disagree");
    } else {
        debug!(%view, %generation, compared_rows, detail, "compared the layers");
    }
    if drift.is_nan() {
        metrics::counter!("dovetail_drift_not_compared_total").increment(1);
    }
    metrics::counter!("dovetail_drifting_rows_total").increment(if drift > 0.0 { drift as u64 } else { 0 });
    let row = Drift { run_id, generation, view: view.clone(), drift, compared_rows, detail };
    if let Err(error) = layers.catalog.record_drift(&row).await {
        warn!(%view, %generation, %error, "drift was not recorded");
    }
}

/// The number of rows that differ, of rows compared, and the first difference.
async fn drift(
    layers: &Layers,
    view: &Arc<View>,
    old: &ViewStates,
    new: &ViewStates,
) -> Result<(f64, u64, String), QueryError> {
    let realtime = layers.realtime.read(&view.name, &old.cut).await.and_then(RealtimeView::whole);
    let realtime = realtime.map_err(|error| QueryError::new(Reason::NotReady, error.to_string()))?;
    let range = between(&realtime, &old.cut, &new.cut).ok_or_else(|| {
        QueryError::new(Reason::NotReady, "the speed layer no longer holds slices of this range alone")
    })?;
    let mut left = layers.states.get(view, old).await?.batches.clone();
    left.extend(range.iter().flat_map(|slice| slice.state.iter().cloned()));
    let left_out = range.iter().fold(old.errors.tally, |all, slice| all + slice.errors.tally);
    let errors_differ = (left_out != new.errors.tally).then(|| Difference {
        left: Some(format!("leaves out {} records", left_out.count)),
        right: Some(format!("leaves out {} records, or others", new.errors.tally.count)),
    });
    let right = layers.states.get(view, new).await?;
    // Both are finished and compared side by side: about their size again, twice.
    let bytes: usize = left.iter().chain(&right.batches).map(RecordBatch::get_array_memory_size).sum();
    let room = Pool::of("drift", &layers.memory).take(&view.name, bytes.saturating_mul(2));
    let room = room.map_err(|error| QueryError { message: format!("no room: {}", error.message), ..error })?;
    let view = Arc::clone(view);
    let compared = SpawnedTask::spawn_blocking(move || {
        let _room = room;
        let schema = view.leaf_schema();
        let mut differences = view.compare_sketches(&left, &right.batches)?;
        differences.extend(errors_differ);
        let (left, right) = (view.finish(&left, None)?, view.finish(&right.batches, None)?);
        let rows: usize = right.iter().map(RecordBatch::num_rows).sum();
        differences.extend(compare_answers(&schema, &left, &right, view.leaf_exactness())?);
        let detail = match differences.first() {
            None => "equal".to_owned(),
            Some(first) => format!(
                "{} rows differ, first: speed {}, batch {}",
                differences.len(),
                first.left.as_deref().unwrap_or("has no such row"),
                first.right.as_deref().unwrap_or("has no such row")
            ),
        };
        Ok::<_, QueryError>((differences.len() as f64, rows as u64, detail))
    });
    compared.await.map_err(|_| QueryError::panicked())?
}

/// The slices of exactly `[from, to)`, if the layer has all of it and there are boundaries at both ends.
fn between(realtime: &RealtimeView, from: &Cut, to: &Cut) -> Option<Vec<Slice>> {
    let met = meet(from, realtime, 0).ok()?;
    if to.0.partitions().any(|partition| met.head.get(partition) < to.get(partition)) {
        return None;
    }
    let mut slices = vec![];
    for slice in &realtime.slices {
        let end = to.get(slice.partition);
        if slice.range.is_cut_by(end) {
            return None;
        }
        if slice.range.end <= end {
            slices.push(slice.clone());
        }
    }
    Some(slices)
}
