//! Verification: folds the whole log again from scratch up to a fixed head, and compares with the served answer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use arrow::array::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};
use dovetail_api::verify::Verdict;
use dovetail_core::clock;
use dovetail_core::name::JobName;
use dovetail_core::offsets::Offsets;
use dovetail_core::pipeline::Stream;
use dovetail_core::view::{Difference, Tally, View, compare_answers};
use dovetail_ingestion::formats::Decoder;
use dovetail_serving_layer::{AsOf, Pool, QueryError, Reason};
use futures::StreamExt;

use crate::jobs::folding::{Folding, bytes_of, rows_of};
use crate::process::engine::Engine;
use crate::process::roles::Roles;

mod progress;
mod records;
mod replay;

pub use self::progress::VerifyTracker;
pub(crate) use self::records::digests;
use self::replay::Replay;

const EXAMPLES: usize = 5;

/// Verifies `views`, one after the other; other verifications wait meanwhile.
pub(crate) async fn start(
    engine: &Arc<Engine>,
    views: &[ServedView],
    progress: &VerifyTracker,
) -> Result<Vec<Verdict>> {
    let _turn = progress.turn().await;
    let mut expected = vec![];
    for of in views {
        let replay = Replay::new(engine, &of.stream, of.starts.as_ref(), progress).await?;
        expected.push(replay.records(None).await?);
    }
    let _verifying = progress.begin(&expected);
    let mut verdicts = vec![];
    for view in views {
        verdicts.push(verify(engine, view, progress).await?);
    }
    Ok(verdicts)
}

/// A folded view in one of the schemas that answer it whole.
#[derive(Debug, Clone)]
pub struct ServedView {
    view: Arc<View>,
    stream: Arc<Stream>,
    /// `public`, `kappa` for the current stream job, or the name of another job.
    schema: String,
    /// The starts of the stream job in the stream; none for both layers, which begin where landing does.
    starts: Option<Offsets>,
    job: Option<JobName>,
}

impl ServedView {
    /// The view as verdicts name it: that of a stream job with its schema.
    pub fn name(&self) -> String {
        match self.job {
            None => self.view.name.to_string(),
            Some(_) => format!("{}.{}", self.schema, self.view.name),
        }
    }

    /// Whether a user means it by `name`: the name of a view is that of both layers and that of the current stream job;
    /// other jobs are named.
    pub fn is_called(&self, name: &str) -> bool {
        (self.view.name.as_str() == name && !self.is_beside()) || self.name() == name
    }

    /// Whether it is of a stream job that readers do not get by themselves.
    pub fn is_beside(&self) -> bool {
        self.job.is_some() && self.schema != "kappa"
    }
}

/// The folded views that this process answers: of both layers, and of the stream jobs.
///
/// # Errors
/// When the catalog cannot be read, or the current stream job runs in another process.
pub async fn served_views(engine: &Engine) -> Result<Vec<ServedView>> {
    let mut all = vec![];
    if engine.roles != Roles::Kappa {
        for view in &engine.views {
            let stream = engine.streams.iter().find(|stream| stream.name == view.stream);
            let stream = stream.with_context(|| format!("view `{}` reads a stream that is gone", view.name))?;
            let (view, stream) = (Arc::clone(view), Arc::clone(stream));
            all.push(ServedView { view, stream, schema: "public".to_owned(), starts: None, job: None });
        }
    }
    if let Ok(jobs) = engine.jobs() {
        let running = jobs.running().await?;
        running.iter().find(|of| of.is_current).context("the current stream job runs in another process")?;
        for (job, view, plan, schema) in running.iter().flat_map(|of| {
            let schema = if of.is_current { "kappa".to_owned() } else { of.job.name.to_string() };
            of.plan.folded().into_iter().map(move |view| (&of.job, view, &of.plan, schema.clone()))
        }) {
            let stream = plan.pipeline.streams.iter().find(|stream| stream.name == view.stream);
            let stream = stream.with_context(|| format!("view `{}` reads a stream that is gone", view.name))?.clone();
            let starts = job.starts.get(&stream.topic).cloned().unwrap_or_default();
            let (stream, starts, job) = (Arc::new(stream), Some(starts), Some(job.name.clone()));
            all.push(ServedView { view, stream, schema, starts, job });
        }
    }
    Ok(all)
}

/// The served answer of a view.
struct ServedAnswer {
    as_of: AsOf,
    states: Vec<RecordBatch>,
    answered: Vec<RecordBatch>,
    room: Vec<MemoryReservation>,
}

/// Greatest number of attempts: while the answer is read, the speed layer may drop slices of its generation; then a
/// later one is read.
const SERVED_RETRIES_MAX: u32 = 20;
const SERVED_RETRY_PAUSE: Duration = Duration::from_millis(250);

async fn served_in_time(engine: &Arc<Engine>, of: &ServedView, memory: &Arc<Pool>) -> Result<ServedAnswer> {
    let mut tries = 0;
    loop {
        let served = served(engine, of, memory).await;
        let is_late = |error: &QueryError| error.reason == Reason::NotReady;
        match served {
            Err(error) if tries < SERVED_RETRIES_MAX && error.downcast_ref().is_some_and(is_late) => tries += 1,
            served => return served,
        }
        clock::sleep(SERVED_RETRY_PAUSE).await;
    }
}

async fn served(engine: &Arc<Engine>, of: &ServedView, memory: &Arc<Pool>) -> Result<ServedAnswer> {
    let view = &of.view;
    let mut served = engine.serving()?.query(&format!("SELECT * FROM {}.{}", of.schema, view.name)).await?;
    let is_of = |as_of: &&AsOf| as_of.view == view.name && as_of.job == of.job;
    let Some(as_of) = served.as_of.iter().find(is_of).cloned() else {
        bail!("the answer of `{}` does not say what it is as of", view.name);
    };
    // Where the rows alone do not decide the answer, the states below it are compared instead.
    let of_states = view.has_sketches() || !view.loose().is_empty();
    let states = if of_states { served.states(view, of.job.as_ref()).await? } else { vec![] };
    let mut room = vec![memory.take(&view.name, bytes_of(&states))?];
    let mut answered = vec![];
    while let Some(batch) = served.batches.next().await {
        let batch = batch?;
        room.push(memory.take(&view.name, batch.get_array_memory_size())?);
        answered.push(batch);
    }
    Ok(ServedAnswer { as_of, states, answered, room })
}

/// Verifies one view within the memory of all queries: when there is not enough, it fails and says so.
pub async fn verify(engine: &Arc<Engine>, of: &ServedView, progress: &VerifyTracker) -> Result<Verdict> {
    let view = &of.view;
    let memory = engine.serving()?.memory_to_verify();
    let ServedAnswer { as_of, states, mut answered, mut room } = served_in_time(engine, of, &memory).await?;
    let is_loose = !view.loose().is_empty();
    let replay = Replay::new(engine, &of.stream, of.starts.as_ref(), progress).await?;
    progress.view(&view.name, replay.records(Some(&as_of.head)).await?);
    let again = fold_again(&replay, view, &as_of.head, &memory).await?;
    let Again { states: folded_states, records, errors, room: folded_room } = again;
    let mut different = if view.has_sketches() { view.compare_sketches(&states, &folded_states)? } else { vec![] };
    let (schema, exactness) = match is_loose {
        true => (view.leaf_schema(), view.leaf_exactness()),
        false => (view.answer_schema(), view.answer_exactness()),
    };
    let rows = rows_of(&answered);
    let folded = if is_loose {
        room.push(
            memory.take(&view.name, bytes_of(&states).saturating_add(bytes_of(&folded_states)).saturating_mul(2))?,
        );
        answered = view.finish(&states, None)?;
        view.finish(&folded_states, None)?
    } else {
        answer(view, &folded_states, &memory).await?
    };
    drop((folded_states, folded_room, states));
    let renamed = |batches: Vec<RecordBatch>| -> Result<Vec<_>> {
        let all = batches.into_iter().map(|b| RecordBatch::try_new(nullable(&schema), b.columns().to_vec()));
        Ok(all.collect::<Result<_, _>>()?)
    };
    // Both sides are sorted for the comparison.
    room.push(memory.take(&view.name, bytes_of(&answered).saturating_add(bytes_of(&folded)).saturating_mul(2))?);
    let (served, folded) = (renamed(answered)?, renamed(folded)?);
    different.extend(compare_answers(&nullable(&schema), &served, &folded, exactness)?);
    if as_of.errors != errors {
        let told =
            |what: &str, tally: Tally| Some(format!("{what} {} records, digest {:x}", tally.count, tally.digest));
        different.push(Difference { left: told("left out", as_of.errors), right: told("leaves out", errors) });
    }
    let examples = different.iter().take(EXAMPLES).map(|Difference { left, right }| (left.clone(), right.clone()));
    Ok(Verdict {
        view: of.name(),
        generation: as_of.generation.0,
        head: as_of.head.into(),
        records,
        errors: as_of.errors.count,
        rows,
        differences: different.len() as u64,
        examples: examples.collect(),
    })
}

fn nullable(schema: &arrow::datatypes::SchemaRef) -> arrow::datatypes::SchemaRef {
    let fields = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true));
    Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()))
}

/// Folds all records below `head` again: from the log, and from the landing's raw bytes where the log was trimmed.
async fn fold_again(replay: &Replay<'_>, view: &Arc<View>, head: &Offsets, memory: &Arc<Pool>) -> Result<Again> {
    let mut decoder = Decoder::new(Arc::clone(replay.stream))?;
    let mut folding = Folding::new(view, memory)?;
    let mut records = 0;
    for (partition, end) in head.iter() {
        records += replay.run(partition, end, &mut decoder, &mut folding).await?;
    }
    folding.fold_waiting().await?;
    let Folding { mut folder, room, errors, .. } = folding;
    let states = folder.take_state()?;
    drop(folder);
    room.try_resize(bytes_of(&states)).map_err(|error| memory.explain(error))?;
    Ok(Again { states, records, errors, room })
}

/// The result of folding again.
struct Again {
    states: Vec<RecordBatch>,
    records: u64,
    errors: Tally,
    room: MemoryReservation,
}

/// Runs the view's SQL over its states.
async fn answer(view: &Arc<View>, states: &[RecordBatch], memory: &Arc<Pool>) -> Result<Vec<RecordBatch>> {
    // Finishing builds a table of all groups and then the answer.
    let _room = memory.take(&view.name, bytes_of(states).saturating_mul(2))?;
    let finished = view.finish(states, None)?;
    let leaf = MemTable::try_new(view.leaf_schema(), vec![finished])?;
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(memory.shared()).build_arc()?;
    let context = SessionContext::new_with_config_rt(SessionConfig::new(), runtime);
    dovetail_core::functions::install(&context);
    let plan = view.answer_plan(Arc::new(leaf))?;
    let answer = context.execute_logical_plan(plan).await?.collect().await;
    answer.map_err(|error| memory.explain(error)).with_context(|| format!("view `{}`", view.name))
}
