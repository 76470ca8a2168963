//! A pipeline file, read and planned.

use std::path::Path;
use std::sync::Arc;

use dovetail_core::pipeline::{Pipeline, PipelineError, PipelineErrors, hint_of};
use dovetail_core::view::{Planned, Planner, View, ViewError};
use dovetail_ingestion::decode::Decoder;

/// A pipeline whose views are planned.
#[derive(Debug)]
pub struct Plan {
    pub pipeline: Pipeline,
    pub planner: Planner,
    pub views: Vec<Planned>,
}

impl Plan {
    /// Reads and plans the pipeline at `path`, or says everything that is wrong with it.
    pub async fn load(path: &Path) -> Result<Self, PipelineErrors> {
        let pipeline = Pipeline::load(path)?;
        let file = path.to_owned();
        let mut planner = Planner::new(&pipeline).await.map_err(|e| PipelineErrors { file: file.clone(), ..e })?;
        let mut views = vec![];
        let mut errors = vec![];
        for view in &pipeline.views {
            match planner.plan(view).await {
                Ok(planned) => views.push(planned),
                Err(error) => {
                    let hint = match &error {
                        ViewError::Plan(error) => hint_of(error),
                        refused @ ViewError::Refused(_) => refused.hint().map(ToOwned::to_owned),
                    };
                    errors.push(PipelineError::in_view(view, error.to_string(), hint));
                }
            }
        }
        for stream in &pipeline.streams {
            if let Err(error) = Decoder::new(Arc::new(stream.clone())) {
                errors.push(PipelineError::in_file(error.to_string(), None));
            }
        }
        PipelineErrors::check(path, errors)?;
        Ok(Self { pipeline, planner, views })
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
