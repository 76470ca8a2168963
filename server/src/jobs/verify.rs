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
use dovetail_core::offsets::Offsets;
use dovetail_core::pipeline::Stream;
use dovetail_core::view::{Difference, Tally, View, compare_answers};
use dovetail_ingestion::formats::Decoder;
use dovetail_serving_layer::{AsOf, Pool, QueryError, Reason};
use futures::StreamExt;

use crate::jobs::folding::{Folding, bytes_of, rows_of};
use crate::process::engine::Engine;

mod progress;
mod records;
mod replay;

pub use self::progress::VerifyTracker;
pub(crate) use self::records::digests;
use self::replay::Replay;

const EXAMPLES: usize = 5;

/// Verifies `views`, one after the other; other verifications wait meanwhile.
pub(crate) async fn start(engine: &Arc<Engine>, views: &[Arc<View>], progress: &VerifyTracker) -> Result<Vec<Verdict>> {
    let _turn = progress.turn().await;
    let mut expected = vec![];
    for view in views {
        expected.push(match stream_of(engine, view) {
            Ok(stream) => Replay::new(engine, stream, progress).await?.records(None).await?,
            Err(_) => 0,
        });
    }
    let _verifying = progress.begin(&expected);
    let mut verdicts = vec![];
    for view in views {
        verdicts.push(verify(engine, view, progress).await?);
    }
    Ok(verdicts)
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

async fn served_in_time(engine: &Arc<Engine>, view: &Arc<View>, memory: &Arc<Pool>) -> Result<ServedAnswer> {
    let mut tries = 0;
    loop {
        let served = served(engine, view, memory).await;
        let is_late = |error: &QueryError| error.reason == Reason::NotReady;
        match served {
            Err(error) if tries < SERVED_RETRIES_MAX && error.downcast_ref().is_some_and(is_late) => tries += 1,
            served => return served,
        }
        clock::sleep(SERVED_RETRY_PAUSE).await;
    }
}

async fn served(engine: &Arc<Engine>, view: &Arc<View>, memory: &Arc<Pool>) -> Result<ServedAnswer> {
    let mut served = engine.serving()?.query(&format!("SELECT * FROM public.{}", view.name)).await?;
    let Some(as_of) = served.as_of.iter().find(|as_of| as_of.view == view.name).cloned() else {
        bail!("the answer of `{}` does not say what it is as of", view.name);
    };
    // Where the rows alone do not decide the answer, the states below it are compared instead.
    let of_states = view.has_sketches() || !view.loose().is_empty();
    let states = if of_states { served.states(view).await? } else { vec![] };
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
pub async fn verify(engine: &Arc<Engine>, view: &Arc<View>, progress: &VerifyTracker) -> Result<Verdict> {
    let memory = engine.serving()?.memory_to_verify();
    let ServedAnswer { as_of, states, mut answered, mut room } = served_in_time(engine, view, &memory).await?;
    let is_loose = !view.loose().is_empty();
    let stream = stream_of(engine, view)?;
    let replay = Replay::new(engine, stream, progress).await?;
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
        view: view.name.to_string(),
        generation: as_of.generation.0,
        head: as_of.head.into(),
        records,
        errors: as_of.errors.count,
        rows,
        differences: different.len() as u64,
        examples: examples.collect(),
    })
}

fn stream_of<'e>(engine: &'e Engine, view: &View) -> Result<&'e Arc<Stream>> {
    let stream = engine.streams.iter().find(|stream| stream.name == view.stream);
    stream.with_context(|| format!("view `{}` reads a stream that is gone", view.name))
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
