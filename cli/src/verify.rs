//! Folding the whole log again from scratch, at a frozen head, and comparing with what is served.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionContext;
use dovetail_core::offsets::Offsets;
use dovetail_core::pipeline::Stream;
use dovetail_core::view::{Difference, Folder, View, compare_answers};
use serde::{Deserialize, Serialize};

use crate::engine::Engine;
use crate::replay::Replay;

mod progress;
mod records;

pub(crate) use progress::{Progress, Verified};
pub(crate) use records::digests;

/// What became of one view.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub view: String,
    /// Generation that was served.
    pub generation: u64,
    /// Up to where both were folded.
    pub head: Offsets,
    /// Records of the log below the head.
    pub records: u64,
    /// Rows of the answer.
    pub rows: u64,
    /// Rows that differ.
    pub differences: u64,
    /// The first few of them: served, then folded from scratch.
    pub examples: Vec<(Option<String>, Option<String>)>,
}

const EXAMPLES: usize = 5;

/// Verifies `views`, one after the other; whoever else wants to waits meanwhile.
pub(crate) async fn verify_all(engine: &Arc<Engine>, views: &[Arc<View>], progress: &Progress) -> Result<Vec<Verdict>> {
    let _turn = progress.turn().await;
    let mut expected = vec![];
    for view in views {
        expected.push(match stream_of(engine, view) {
            Ok(stream) => replay(engine, stream, progress).records(None).await?,
            Err(_) => 0,
        });
    }
    progress.begin(&expected);
    let mut verdicts = vec![];
    for view in views {
        verdicts.push(verify(engine, view, progress).await?);
    }
    progress.end();
    Ok(verdicts)
}

/// Verifies one view.
pub(crate) async fn verify(engine: &Arc<Engine>, view: &Arc<View>, progress: &Progress) -> Result<Verdict> {
    let served = engine.serving()?.query(&format!("SELECT * FROM public.{}", view.name)).await?;
    let Some(as_of) = served.as_of.iter().find(|as_of| as_of.view == view.name).cloned() else {
        bail!("the answer of `{}` does not say what it is as of", view.name);
    };
    let states = if view.has_sketches() { served.states(view).await? } else { vec![] };
    let served = served.collect().await?;
    let stream = stream_of(engine, view)?;
    let replay = replay(engine, stream, progress);
    progress.view(&view.name, replay.records(Some(&as_of.head)).await?);
    let (folded_states, records) = fold_again(&replay, view, &as_of.head).await?;
    let mut different = if view.has_sketches() { view.compare_sketches(&states, &folded_states)? } else { vec![] };
    let folded = answer(view, &folded_states).await?;
    let schema = view.answer_schema();
    let renamed = |batches: Vec<arrow::array::RecordBatch>| -> Result<Vec<_>> {
        let all =
            batches.into_iter().map(|b| arrow::array::RecordBatch::try_new(nullable(&schema), b.columns().to_vec()));
        Ok(all.collect::<Result<_, _>>()?)
    };
    let (served, folded) = (renamed(served)?, renamed(folded)?);
    let rows = served.iter().map(|b| b.num_rows() as u64).sum();
    different.extend(compare_answers(&nullable(&schema), &served, &folded, view.answer_exactness())?);
    let examples = different.iter().take(EXAMPLES).map(|Difference { left, right }| (left.clone(), right.clone()));
    Ok(Verdict {
        view: view.name.to_string(),
        generation: as_of.generation.0,
        head: as_of.head,
        records,
        rows,
        differences: different.len() as u64,
        examples: examples.collect(),
    })
}

fn stream_of<'e>(engine: &'e Engine, view: &View) -> Result<&'e Arc<Stream>> {
    let stream = engine.streams.iter().find(|stream| stream.name == view.stream);
    stream.with_context(|| format!("view `{}` reads a stream that is gone", view.name))
}

fn replay<'e>(engine: &'e Engine, stream: &'e Arc<Stream>, progress: &'e Progress) -> Replay<'e> {
    Replay { log: engine.log.as_ref(), catalog: &engine.catalog, store: &engine.store, stream, progress }
}

fn nullable(schema: &arrow::datatypes::SchemaRef) -> arrow::datatypes::SchemaRef {
    let fields = schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true));
    Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>()))
}

/// The view's states over all records below `head`: from the log, and from the landing's raw bytes where the log was
/// trimmed.
async fn fold_again(
    replay: &Replay<'_>,
    view: &Arc<View>,
    head: &Offsets,
) -> Result<(Vec<arrow::array::RecordBatch>, u64)> {
    let mut states = vec![];
    let mut records = 0;
    for (partition, end) in head.iter() {
        let mut folder = Folder::new(view)?;
        records += replay.run(partition, end, &mut folder).await?;
        states.extend(folder.take_state()?);
    }
    Ok((states, records))
}

/// What the view's SQL makes of its states.
async fn answer(view: &Arc<View>, states: &[arrow::array::RecordBatch]) -> Result<Vec<arrow::array::RecordBatch>> {
    let finished = view.finish(states, None)?;
    let leaf = MemTable::try_new(view.leaf_schema(), vec![finished])?;
    let context = SessionContext::new();
    let plan = view.answer_plan(Arc::new(leaf))?;
    let answer = context.execute_logical_plan(plan).await?.collect().await;
    answer.with_context(|| format!("view `{}`", view.name))
}
