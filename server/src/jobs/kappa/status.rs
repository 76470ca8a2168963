//! The jobs with their progress; the switch of readers from one to another; the end of one.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use dovetail_api::jobs::{JobInfo, JobStopped, SwitchRequest, Switched};
use dovetail_core::catalog::{CatalogError, CurrentJob};
use dovetail_core::name::JobName;
use dovetail_kappa_layer::{JobProgress, StreamJob};
use dovetail_serving_layer::{JobReport, JobStatus};

use super::StreamJobs;

/// The progress of a running job for queries.
#[derive(Debug)]
pub(super) struct Report(pub(super) Arc<StreamJob>);

#[async_trait]
impl JobReport for Report {
    async fn now(&self) -> JobStatus {
        let JobProgress { done, end, rate, eta, bytes, trouble, .. } = self.0.progress().await;
        JobStatus { done, end, rate, eta, bytes, trouble }
    }
}

/// The reason why readers are not switched.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// The job is not at the head of the log.
    #[error("job `{job}` is not at the head of the log: it is {state}{detail}; wait, or switch with `--force`")]
    Behind {
        /// The job.
        job: String,
        /// Its state.
        state: String,
        /// Its progress, or its trouble.
        detail: String,
    },
    /// There is no job before the current one.
    #[error("there is no job before the current one")]
    NoPrevious,
    /// The catalog refused.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// Makes a job the one that readers get, in one step for all its views.
pub async fn switch(jobs: &StreamJobs, request: &SwitchRequest) -> Result<Switched, SwitchError> {
    let all = jobs.list().await?;
    let name = match &request.job {
        Some(name) => name.clone(),
        None => all.iter().find(|job| job.role == "previous").ok_or(SwitchError::NoPrevious)?.name.clone(),
    };
    let missing = || CatalogError::Missing { what: format!("job `{name}`") };
    let info = all.into_iter().find(|job| job.name == name).ok_or_else(missing)?;
    if info.state != "head" && info.role != "current" && !request.force {
        let left = info.done.zip(info.end).map(|(done, end)| format!(", {} records to go", end.saturating_sub(done)));
        let detail = info.trouble.map(|why| format!(": {why}")).or(left).unwrap_or_default();
        return Err(SwitchError::Behind { job: name, state: info.state, detail });
    }
    let parsed = JobName::parse(&name).map_err(|_| missing())?;
    let CurrentJob { job, previous, .. } = jobs.catalog().switch_job(&parsed).await?;
    if let Err(error) = jobs.look().await {
        tracing::warn!(error = format!("{error:#}"), "readers are switched a little later");
    }
    Ok(Switched { job: job.map(Into::into), previous: previous.map(Into::into) })
}

/// Ends a job that is not current and removes it with its checkpoints.
pub async fn stop(jobs: &StreamJobs, name: &str) -> Result<JobStopped, CatalogError> {
    let missing = || CatalogError::Missing { what: format!("job `{name}`") };
    jobs.catalog().remove_job(&JobName::parse(name).map_err(|_| missing())?).await?;
    if let Err(error) = jobs.look().await {
        tracing::warn!(error = format!("{error:#}"), "the job ends a little later");
    }
    Ok(JobStopped { job: name.to_owned() })
}

impl StreamJobs {
    /// All jobs, the oldest first.
    pub async fn list(&self) -> Result<Vec<JobInfo>, CatalogError> {
        let rows = self.parts.serving.jobs().await?;
        Ok(rows
            .into_iter()
            .map(|row| {
                let (status, state) = (row.status.clone(), row.state().to_owned());
                let starts = row.job.starts.iter().map(|(topic, offsets)| {
                    (topic.clone(), offsets.iter().filter(|&(_, offset)| offset > 0).collect::<BTreeMap<_, _>>())
                });
                let trouble = row.trouble();
                JobInfo {
                    name: row.job.name.to_string(),
                    role: row.role.to_owned(),
                    state,
                    starts: starts.collect(),
                    created_ms: row.job.created_ms,
                    done: status.as_ref().map(|status| status.done),
                    end: status.as_ref().map(|status| status.end),
                    rate: status.as_ref().map(|status| status.rate),
                    eta_seconds: status.as_ref().and_then(|status| Some(status.eta?.as_secs_f64())),
                    bytes: status.as_ref().map(|status| status.bytes),
                    checkpoint: row.checkpoint,
                    trouble,
                    address: row.job.address,
                }
            })
            .collect())
    }
}
