//! Stream jobs: list, start, switch, stop.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use dovetail_api::jobs::{JobInfo, JobRequest, JobStopped, SwitchRequest, Switched};
use dovetail_core::catalog::CatalogError;
use dovetail_serving_layer::{Code, Failed};

use super::{App, codes, parsed, unavailable};
use crate::jobs::kappa::{self, StartError, StreamJobs, SwitchError};

fn jobs(app: &App) -> Result<&Arc<StreamJobs>, Failed> {
    app.engine.jobs().map_err(unavailable)
}

pub(super) async fn list(State(app): State<Arc<App>>) -> Result<axum::Json<Vec<JobInfo>>, Failed> {
    jobs(&app)?.list().await.map(axum::Json).map_err(|error| failed(&error))
}

pub(super) async fn start(State(app): State<Arc<App>>, body: Bytes) -> Result<axum::Json<JobInfo>, Failed> {
    let request: JobRequest = parsed(&body)?;
    let started = kappa::start(jobs(&app)?, &request).await;
    started.map(axum::Json).map_err(|error| match &error {
        StartError::Request(why) => Failed::new(Code::BadRequest, why.clone()),
        StartError::Lost { .. } => Failed::new(Code::NotPossible, error.to_string()),
        StartError::Catalog(error) => failed(error),
        StartError::Log(_) => Failed::new(Code::Unavailable, error.to_string()),
    })
}

pub(super) async fn switch(State(app): State<Arc<App>>, body: Bytes) -> Result<axum::Json<Switched>, Failed> {
    let request: SwitchRequest = parsed(&body)?;
    let switched = kappa::switch(jobs(&app)?, &request).await;
    switched.map(axum::Json).map_err(|error| match &error {
        SwitchError::Behind { .. } | SwitchError::NoPrevious => Failed::new(Code::NotPossible, error.to_string()),
        SwitchError::Catalog(error) => failed(error),
    })
}

pub(super) async fn stop(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
) -> Result<axum::Json<JobStopped>, Failed> {
    kappa::stop(jobs(&app)?, &name).await.map(axum::Json).map_err(|error| failed(&error))
}

fn failed(error: &CatalogError) -> Failed {
    let code = match error {
        CatalogError::Missing { .. } => Code::UnknownJob,
        CatalogError::JobExists { .. } | CatalogError::JobCurrent { .. } => Code::NotPossible,
        error => codes::of_catalog(error),
    };
    Failed::new(code, error.to_string())
}
