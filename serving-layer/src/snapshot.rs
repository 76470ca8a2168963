//! Snapshots: one generation, and for each view the realtime states that meet it.
//!
//! A query has one [`Snapshot`]. All its scans read the same generation and, view by view, the same slices.

pub(crate) mod batch_states;
pub(crate) mod cache;
pub(crate) mod drift;
pub(crate) mod generation;
pub(crate) mod jobs;
pub(crate) mod kept;
pub(crate) mod layers;
pub(crate) mod merged_cache;
pub(crate) mod remote;
pub(crate) mod watch_generation;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dovetail_core::clock;
use dovetail_core::manifest::StateFile;
use dovetail_core::meet::{MeetError, Met, meet, meet_in_part};
use dovetail_core::name::{Generation, JobName, ViewName};
use dovetail_core::offsets::{Cut, Offsets};
use dovetail_core::realtime::{RealtimeError, RealtimeView, Slice};
use dovetail_core::view::{Tally, View};
use parking_lot::Mutex;
use serde::{Serialize, Serializer};
use tokio::sync::OnceCell;

use crate::error::{QueryError, Reason};
use crate::snapshot::generation::{Filled, Served};
use crate::snapshot::jobs::JobSnapshots;
use crate::snapshot::kept::States;
use crate::snapshot::layers::Layers;
use crate::snapshot::watch_generation::kept;

/// Pause between two requests to a speed layer that is catching up.
const CATCH_UP_POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The slices of one view in a snapshot, with the proof that they meet the cut of its batch states.
#[derive(Debug)]
pub(crate) struct RealtimePart {
    pub(crate) met: Met,
    /// Tally of the records below the head that both layers leave out.
    pub(crate) errors: Tally,
    /// The slices by partition, ascending, in order and without a gap.
    pub(crate) slices: Vec<Slice>,
}

/// The offsets that one view's answer covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AsOf {
    /// The view.
    pub view: ViewName,
    /// The stream job that folded it alone; none for an answer of both layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<JobName>,
    /// The generation of its batch view.
    pub generation: Generation,
    /// The batch layer's states hold every record below it.
    pub cut: Cut,
    /// The answer holds every record below it.
    pub head: Offsets,
    /// Tally of the records below the head whose evaluation failed: the answer leaves them out, `sys.view_errors` lists
    /// them.
    #[serde(skip_serializing_if = "Tally::is_zero", serialize_with = "count")]
    pub errors: Tally,
    /// Partitions without a speed layer at the moment: the answer has none of their records above the cut. Empty unless
    /// a partial answer was requested.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<i32>,
}

fn count<S: Serializer>(errors: &Tally, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(errors.count)
}

/// One query's snapshot.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) layers: Arc<Layers>,
    pub(crate) served: Arc<Served>,
    /// Whether partitions may be missing.
    partial: bool,
    /// Whether the query named the generation.
    named: bool,
    /// The stream jobs at the same moment.
    pub(crate) jobs: JobSnapshots,
    realtime_parts: Mutex<HashMap<ViewName, Arc<OnceCell<Arc<RealtimePart>>>>>,
}

impl Snapshot {
    pub(crate) fn new(layers: Arc<Layers>) -> Self {
        let served = layers.served();
        Self::on(layers, served, false)
    }

    /// A snapshot of a kept generation.
    pub(crate) async fn of(layers: Arc<Layers>, generation: Generation) -> Result<Self, QueryError> {
        let served = kept(&layers, generation).await?;
        Ok(Self::on(layers, served, true))
    }

    fn on(layers: Arc<Layers>, served: Arc<Served>, named: bool) -> Self {
        let jobs = JobSnapshots::new(layers.jobs(), false);
        Self { layers, served, named, partial: false, jobs, realtime_parts: Mutex::default() }
    }

    /// The same; with `partial`, partitions without a speed layer end at the cut and are named.
    pub(crate) fn partial(self, partial: bool) -> Self {
        let jobs = JobSnapshots::new(Arc::clone(&self.jobs.jobs), partial);
        Self { partial, jobs, ..self }
    }

    /// The batch states of `view`; empty before the first generation.
    pub(crate) async fn states(&self, view: &Arc<View>) -> Result<Arc<States>, QueryError> {
        match self.served.filled(view) {
            Filled::Nothing => Ok(States::none()),
            Filled::States(states) => self.layers.states.get(view, states).await,
            Filled::NotYet => Err(self.not_filled(view).await),
        }
    }

    /// The realtime part of `view` from this generation's cut.
    pub(crate) async fn realtime_part(&self, view: &Arc<View>) -> Result<Arc<RealtimePart>, QueryError> {
        let cell = {
            let mut realtime_parts = self.realtime_parts.lock();
            Arc::clone(realtime_parts.entry(view.name.clone()).or_default())
        };
        cell.get_or_try_init(|| self.read(view)).await.cloned()
    }

    async fn read(&self, view: &Arc<View>) -> Result<Arc<RealtimePart>, QueryError> {
        let (cut, below) = match self.served.filled(view) {
            Filled::Nothing => (Cut::default(), Tally::default()),
            Filled::States(states) => (states.cut.clone(), states.errors.tally),
            Filled::NotYet => return Err(self.not_filled(view).await),
        };
        let partitions = self.layers.partitions(view).await?;
        let give_up = clock::now_monotonic() + self.layers.catch_up;
        loop {
            let realtime = self.layers.realtime.read(&view.name, &cut).await.map(|all| self.without_stopped(view, all));
            let late = clock::now_monotonic() >= give_up;
            let error = match realtime.and_then(|realtime| self.enough(realtime, late)) {
                Ok(realtime) => match self.meet(&cut, &realtime, partitions) {
                    Ok(met) => {
                        let errors = realtime.slices.iter().fold(below, |all, slice| all + slice.errors.tally);
                        return Ok(Arc::new(RealtimePart { met, errors, slices: realtime.slices }));
                    }
                    // The partition has only just been added.
                    Err(error @ MeetError::Missing { .. }) => missing(not_met(view, &error).message),
                    Err(error) => return Err(not_met(view, &error)),
                },
                Err(RealtimeError::Unfilled(_)) => return Err(self.not_filled(view).await),
                // A range that was folded and dropped since does not come back by waiting.
                Err(RealtimeError::CatchingUp { .. } | RealtimeError::Dropped { .. })
                    if self.named && self.is_another() =>
                {
                    return Err(self.dropped(view));
                }
                Err(error @ RealtimeError::Missing { .. }) => missing(error.to_string()),
                Err(error @ RealtimeError::Stopped { .. }) => {
                    let hint = "ask for what there is: \"partial\": true, SET dovetail.partial = on";
                    return Err(QueryError::new(Reason::NotReady, error.to_string()).with_hint(hint));
                }
                Err(error) if error.is_passing() => not_ready(error.to_string()),
                Err(error) => return Err(QueryError::new(Reason::NotReady, error.to_string())),
            };
            if late {
                return Err(error);
            }
            clock::sleep(CATCH_UP_POLL_INTERVAL).await;
        }
    }

    /// Moves stopped partitions to the missing ones: an answer that silently ends there would look current.
    fn without_stopped(&self, view: &View, mut realtime: RealtimeView) -> RealtimeView {
        for (partition, stalled) in self.layers.realtime.stalled(&view.name) {
            if !stalled.by_itself && realtime.head.contains(partition) {
                realtime.head.remove(partition);
                realtime.slices.retain(|slice| slice.partition != partition);
                let (view, why) = (view.name.clone(), stalled.why);
                realtime.missing.insert(partition, RealtimeError::Stopped { view, partition, why });
            }
        }
        realtime
    }

    /// The objects that list the records that `view` leaves out below the cut, and the slices with those above. Also
    /// for a view that cannot be answered, since these records may be the cause.
    pub(crate) async fn left_out(&self, view: &Arc<View>) -> Result<(Vec<StateFile>, Vec<Slice>), QueryError> {
        let (cut, files) = match self.served.filled(view) {
            Filled::Nothing | Filled::NotYet => (Cut::default(), vec![]),
            Filled::States(states) => (states.cut.clone(), states.errors.files.clone()),
        };
        let slices = match self.layers.realtime.read(&view.name, &cut).await {
            Ok(realtime) => realtime.slices,
            Err(RealtimeError::Unfilled(_) | RealtimeError::Stopped { .. }) => vec![],
            Err(error) => return Err(QueryError::new(Reason::NotReady, error.to_string())),
        };
        Ok((files, slices))
    }

    /// Returns `realtime` if it can be met: all of it, or for a partial answer the parts that exist. A partial answer
    /// waits only for answers of members that are due, not for partitions that are folded again.
    fn enough(&self, realtime: RealtimeView, late: bool) -> Result<RealtimeView, RealtimeError> {
        if !self.partial {
            return realtime.whole();
        }
        let waits = |error: &&RealtimeError| match error {
            RealtimeError::Unfilled(_) => true,
            RealtimeError::Asking { .. } => !late,
            _ => false,
        };
        match realtime.missing.values().find(waits) {
            Some(error) => Err(error.clone()),
            None => Ok(realtime),
        }
    }

    fn meet(&self, cut: &Cut, realtime: &RealtimeView, partitions: u32) -> Result<Met, MeetError> {
        match self.partial {
            true => meet_in_part(cut, realtime, partitions),
            false => meet(cut, realtime, partitions),
        }
    }

    /// The offsets covered by each view read so far.
    pub(crate) fn as_of(&self) -> Vec<AsOf> {
        let realtime_parts = self.realtime_parts.lock();
        let mut all: Vec<AsOf> = realtime_parts
            .iter()
            .filter_map(|(view, cell)| Some((view, cell.get()?)))
            .map(|(view, realtime_part)| AsOf {
                view: view.clone(),
                job: None,
                generation: self.served.generation(),
                cut: realtime_part.met.cut.clone(),
                head: realtime_part.met.head.clone(),
                errors: realtime_part.errors,
                missing: realtime_part.met.missing.clone(),
            })
            .collect();
        for (name, snapshot) in self.jobs.iter() {
            all.extend(snapshot.as_of().into_iter().map(|as_of| AsOf { job: Some(name.clone()), ..as_of }));
        }
        all.sort_by(|a, b| (&a.view, &a.job).cmp(&(&b.view, &b.job)));
        all
    }

    fn is_another(&self) -> bool {
        self.served.generation() != self.layers.served().generation()
    }

    fn dropped(&self, view: &View) -> QueryError {
        let generation = self.served.generation();
        let message = format!(
            "the speed layer no longer holds what came to `{}` after the cut of generation {generation}",
            view.name
        );
        let hint = format!("ask for `batch.{}`: what that generation itself holds", view.name);
        QueryError::new(Reason::NotReady, message).with_hint(hint)
    }

    async fn not_filled(&self, view: &View) -> QueryError {
        let mut message = format!("view `{}` is not filled yet", view.name);
        match self.layers.filling(view).await {
            Some(progress) => message.push_str(&format!(": {progress}")),
            None => message.push_str(" and no batch run is filling it"),
        }
        let hint =
            format!("it is answered once a batch run that fills it is published: `dovetail recompute {}`", view.name);
        QueryError::new(Reason::NotReady, message).with_hint(hint)
    }
}

fn not_ready(message: String) -> QueryError {
    QueryError::new(Reason::NotReady, message).with_hint("ask again in a moment")
}

fn missing(message: String) -> QueryError {
    QueryError::new(Reason::NotReady, message)
        .with_hint("ask again in a moment, or for what there is: \"partial\": true, SET dovetail.partial = on")
}

fn not_met(view: &View, error: &MeetError) -> QueryError {
    not_ready(format!("view `{}` cannot be put together: {error}", view.name))
}
