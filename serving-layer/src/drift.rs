//! Drift: whether the two layers agree over the range that a run took from one to the other.
//!
//! ```text
//! previous generation ──────┤ cut                     finish(previous states + slices of the range)
//! speed layer               ├──slices──┤ new cut        must equal
//! new generation      ─────────────────┤              finish(new states)
//! ```

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use dovetail_core::catalog::Drift;
use dovetail_core::manifest::ViewStates;
use dovetail_core::offsets::Cut;
use dovetail_core::realtime::RealtimeView;
use dovetail_core::view::{View, compare_answers};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::error::{QueryError, Reason};
use crate::memory::Pool;
use crate::served::{Filled, Served};
use crate::serving::Inner;

/// How often the served generation is looked at: a comparison has the speed layer's whole grace period.
const LOOK: std::time::Duration = std::time::Duration::from_millis(100);

/// Compares whenever another generation is served, until `shutdown`.
pub(crate) async fn watch(inner: Arc<Inner>, shutdown: CancellationToken) {
    let mut before = inner.served();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        let now = inner.served();
        if now.generation() == before.generation() {
            continue;
        }
        // A rollback takes nothing over.
        if now.generation() > before.generation() && before.manifest.is_some() {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = compare(&inner, &before, &now) => {}
            }
        }
        before = now;
    }
}

/// Compares every view that both generations hold, and records the results.
pub(crate) async fn compare(inner: &Arc<Inner>, before: &Served, now: &Served) {
    let Some(manifest) = &now.manifest else { return };
    for view in inner.folded() {
        let (Filled::States(old), Filled::States(new)) = (before.filled(view), now.filled(view)) else { continue };
        let (drift, compared_rows, detail) = match drift(inner, view, old, new).await {
            Ok(found) => found,
            Err(why) => (f64::NAN, 0, format!("not compared: {why}")),
        };
        if drift > 0.0 {
            error!(view = %view.name, generation = %manifest.generation, drift, detail, "the two layers disagree");
        } else {
            debug!(view = %view.name, generation = %manifest.generation, compared_rows, detail, "compared the layers");
        }
        metrics::counter!("dovetail_drifting_rows_total").increment(if drift > 0.0 { drift as u64 } else { 0 });
        let row = Drift {
            run_id: manifest.run_id,
            generation: manifest.generation,
            view: view.name.clone(),
            drift,
            compared_rows,
            detail,
        };
        if let Err(error) = inner.catalog.record_drift(&row).await {
            warn!(view = %view.name, %error, "drift was not recorded");
        }
    }
}

/// Rows that differ, rows compared, and where.
async fn drift(
    inner: &Inner,
    view: &Arc<View>,
    old: &ViewStates,
    new: &ViewStates,
) -> Result<(f64, u64, String), QueryError> {
    let realtime = inner.realtime.read(&view.name, &old.cut).await.and_then(RealtimeView::whole);
    let realtime = realtime.map_err(|error| QueryError::new(Reason::NotReady, error.to_string()))?;
    let range = between(&realtime, &old.cut, &new.cut).ok_or_else(|| {
        QueryError::new(Reason::NotReady, "the speed layer no longer holds slices of this range alone")
    })?;
    let mut left = inner.states.get(view, old).await?.batches.clone();
    left.extend(range);
    let right = inner.states.get(view, new).await?;
    // Both are finished and compared side by side: about as much again, twice.
    let bytes: usize = left.iter().chain(&right.batches).map(RecordBatch::get_array_memory_size).sum();
    let room = Pool::of("drift", &inner.memory).take(&view.name, bytes.saturating_mul(2));
    let room = room.map_err(|error| QueryError { message: format!("no room: {}", error.message), ..error })?;
    let view = Arc::clone(view);
    let compared = SpawnedTask::spawn_blocking(move || {
        let _room = room;
        let schema = view.leaf_schema();
        let mut differences = view.compare_sketches(&left, &right.batches)?;
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

/// The states of exactly `[from, to)`, if slices begin and end there.
fn between(realtime: &RealtimeView, from: &Cut, to: &Cut) -> Option<Vec<RecordBatch>> {
    let mut states = vec![];
    for partition in realtime.head.partitions().chain(to.0.partitions()) {
        if realtime.floor.get(partition) != from.get(partition) || realtime.head.get(partition) < to.get(partition) {
            return None;
        }
    }
    for slice in &realtime.slices {
        let end = to.get(slice.partition);
        if slice.range.is_cut_by(end) {
            return None;
        }
        if slice.range.end <= end {
            states.extend(slice.state.iter().cloned());
        }
    }
    Some(states)
}
