//! A pipeline file, read and planned.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dovetail_core::pipeline::{Pipeline, PipelineError, PipelineErrors, ViewSql, hint_of};
use dovetail_core::view::{Planned, Planner, Trial, View, ViewError, try_out};
use dovetail_ingestion::formats::Decoder;

/// A pipeline whose views are planned.
#[derive(Debug)]
pub struct Plan {
    /// The pipeline's file: lookups are relative to its folder.
    pub file: PathBuf,
    /// The pipeline's text.
    pub text: String,
    /// The pipeline as parsed.
    pub pipeline: Pipeline,
    /// The planner, which has the lookups.
    pub planner: Planner,
    /// The planned views, in the pipeline's order.
    pub views: Vec<Planned>,
}

impl Plan {
    /// Reads and plans the pipeline at `path`, or returns all its errors.
    pub async fn load(path: &Path) -> Result<Self, PipelineErrors> {
        let pipeline = Pipeline::load(path)?;
        let text = std::fs::read_to_string(path).unwrap_or_default();
        Self::of(pipeline, text, path).await
    }

    /// Plans the pipeline with this text, or returns all its errors. Lookups are relative to the folder of `path`.
    pub async fn parse(text: &str, path: &Path) -> Result<Self, PipelineErrors> {
        Self::of(Pipeline::parse(text, path)?, text.to_owned(), path).await
    }

    /// [`Self::parse`] on a thread of its own: planning is one task that does not move between threads.
    pub async fn parse_apart(text: String, path: PathBuf) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Handle::current();
        let planned = tokio::task::spawn_blocking(move || runtime.block_on(Self::parse(&text, &path)));
        Ok(planned.await??)
    }

    async fn of(mut pipeline: Pipeline, text: String, path: &Path) -> Result<Self, PipelineErrors> {
        let file = path.to_owned();
        let mut planner = Planner::new(&pipeline).await.map_err(|e| PipelineErrors { file: file.clone(), ..e })?;
        let mut views = vec![];
        let (mut errors, mut notes) = (vec![], vec![]);
        for view in &pipeline.views {
            match planned_and_tried(&mut planner, &pipeline, view).await {
                Ok((planned, noted)) => {
                    views.push(planned);
                    notes.extend(noted);
                }
                Err(error) => errors.push(error),
            }
        }
        for stream in &pipeline.streams {
            if let Err(error) = Decoder::new(Arc::new(stream.clone())) {
                errors.push(PipelineError::in_file(error.to_string(), None));
            }
        }
        PipelineErrors::check(path, errors)?;
        pipeline.notes.extend(notes);
        pipeline.notes.sort_by_key(|note| (note.line, note.column));
        Ok(Self { file: path.to_owned(), text, pipeline, planner, views })
    }

    /// The views that are folded.
    pub fn folded(&self) -> Vec<Arc<View>> {
        let folded = self.views.iter().filter_map(|view| match view {
            Planned::Folded(view) => Some(Arc::clone(view)),
            Planned::Derived(_) => None,
        });
        folded.collect()
    }
}

/// Plans one view, tries it over generated rows if it is folded, and collects its notes.
async fn planned_and_tried(
    planner: &mut Planner,
    pipeline: &Pipeline,
    definition: &ViewSql,
) -> Result<(Planned, Vec<PipelineError>), PipelineError> {
    let wrong = |error: ViewError| {
        let hint = match &error {
            ViewError::Plan(error) => hint_of(error),
            refused @ ViewError::Refused(_) => refused.hint().map(ToOwned::to_owned),
        };
        PipelineError::in_view(definition, error.to_string(), hint)
    };
    let planned = planner.plan(definition).await.map_err(wrong)?;
    let mut notes = vec![];
    if let Planned::Folded(view) = &planned {
        let note = |message: String, hint: &str| PipelineError::in_view(definition, message, hint.to_owned());
        for what in view.loose() {
            notes
                .push(note(format!("{what}: two answers may differ, and `verify` compares what is below"), MAKE_TOTAL));
        }
        if let Some(stream) = pipeline.streams.iter().find(|stream| stream.name == view.stream)
            && try_out(view, &stream.decoded_schema()).await.map_err(wrong)? == Trial::OutOfTime
        {
            notes.push(note("trying the view out over made-up rows took too long and was given up".to_owned(), SLOW));
        }
    }
    Ok((planned, notes))
}

const MAKE_TOTAL: &str = "add columns to ORDER BY until no two rows are level, such as all of GROUP BY";
const SLOW: &str = "folding real records may be as slow";
