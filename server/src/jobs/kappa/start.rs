//! Starting a stream job: its definition is checked and written to the catalog; a process takes it from there.

use anyhow::{Context, Result};
use chrono::DateTime;
use dovetail_api::jobs::{JobInfo, JobRequest};
use dovetail_core::catalog::{CatalogError, JobStarts};
use dovetail_core::name::JobName;
use dovetail_core::offsets::Offsets;
use dovetail_core::pipeline::Stream;
use dovetail_ingestion::log::{Log, LogError, by_time};

use super::StreamJobs;
use crate::process::plan::Plan;

/// Names that a job cannot have: schemas of their own, and a route.
const RESERVED: [&str; 9] =
    ["public", "batch", "speed", "raw", "sys", "kappa", "pg_catalog", "information_schema", "switch"];

/// The reason why a job is not started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The request is not understood.
    #[error("{0}")]
    Request(String),
    /// The log has lost records that the job would need.
    #[error(
        "the log of `{topic}` partition {partition} begins at {first}: {gone} records are gone; start the job with \
         `--from earliest` to go without them"
    )]
    Lost {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The first offset that the log has.
        first: i64,
        /// Number of offsets below it.
        gone: i64,
    },
    /// The catalog refused.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The log refused or does not answer.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// The start that was asked for.
enum From<'t> {
    Beginning,
    Earliest,
    Time(i64),
    Offsets(&'t str),
}

/// Adds a job to the catalog. It is taken up by this process or another one.
pub async fn start(jobs: &StreamJobs, request: &JobRequest) -> Result<JobInfo, StartError> {
    let name = JobName::parse(&request.name).map_err(|error| StartError::Request(error.to_string()))?;
    if RESERVED.contains(&name.as_str()) {
        return Err(StartError::Request(format!("a job cannot be called `{name}`: that name is used already")));
    }
    let plan = Plan::parse_apart(request.pipeline.clone(), jobs.parts.file.clone()).await;
    let plan = plan.map_err(|errors| StartError::Request(format!("{errors:#}")))?;
    let from = parsed(request.from.as_deref().unwrap_or("beginning"))?;
    let starts = starts(jobs.log().as_ref(), &plan.pipeline.streams, &from).await?;
    jobs.catalog().create_job(&name, &request.pipeline, &starts).await?;
    let look = jobs.look().await.context("the stream jobs");
    if let Err(error) = look {
        tracing::warn!(error = format!("{error:#}"), "the job is taken up later");
    }
    let all = jobs.list().await?;
    let info = all.into_iter().find(|info| info.name == name.as_str());
    info.ok_or_else(|| CatalogError::Missing { what: format!("job `{name}`") }.into())
}

fn parsed(text: &str) -> Result<From<'_>, StartError> {
    match text {
        "beginning" => Ok(From::Beginning),
        "earliest" => Ok(From::Earliest),
        offsets if offsets.contains('=') => Ok(From::Offsets(offsets)),
        time => match DateTime::parse_from_rfc3339(time) {
            Ok(time) => Ok(From::Time(time.timestamp_millis())),
            Err(_) => Err(StartError::Request(format!(
                "`{time}` is no start: write `beginning`, `earliest`, a time as `2026-03-01T08:00:00Z`, or offsets as \
                 `TOPIC/PARTITION=OFFSET,..`"
            ))),
        },
    }
}

/// The offsets at which the job begins; a start that the log has lost is refused.
async fn starts(log: &dyn Log, streams: &[Stream], from: &From<'_>) -> Result<JobStarts, StartError> {
    let mut all = JobStarts::new();
    let mut named = match from {
        From::Offsets(text) => named(text)?,
        _ => JobStarts::new(),
    };
    for Stream { topic, .. } in streams {
        let mut starts = Offsets::default();
        let named = named.remove(topic);
        let partitions = log.partitions(topic).await?.cast_signed();
        if let Some((partition, _)) =
            named.iter().flat_map(Offsets::iter).find(|&(partition, _)| partition >= partitions)
        {
            return Err(StartError::Request(format!(
                "`{topic}` has {partitions} partitions, and none of number {partition}"
            )));
        }
        for partition in 0..partitions {
            let bounds = log.bounds(topic, partition).await?;
            let start = match from {
                From::Beginning => 0,
                From::Earliest => bounds.start,
                From::Time(ms) => by_time::first_at_or_after(log, topic, partition, *ms).await?,
                From::Offsets(_) => {
                    named.as_ref().filter(|named| named.contains(partition)).map_or(0, |n| n.get(partition))
                }
            };
            if start > bounds.end {
                return Err(StartError::Request(format!(
                    "the log of `{topic}` partition {partition} ends at {}, before {start}",
                    bounds.end
                )));
            }
            if start < bounds.start {
                let (topic, first, gone) = (topic.clone(), bounds.start, bounds.start - start);
                return Err(StartError::Lost { topic, partition, first, gone });
            }
            starts.set(partition, start);
        }
        all.insert(topic.clone(), starts);
    }
    match named.pop_first() {
        Some((topic, _)) => Err(StartError::Request(format!("the pipeline reads no topic `{topic}`"))),
        None => Ok(all),
    }
}

/// `TOPIC/PARTITION=OFFSET,..`.
fn named(text: &str) -> Result<JobStarts, StartError> {
    let mut all = JobStarts::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let read = || {
            let (place, offset) = part.rsplit_once('=')?;
            let (topic, partition) = place.rsplit_once('/')?;
            let (partition, offset) = (partition.trim().parse().ok()?, offset.trim().parse().ok()?);
            (partition >= 0 && offset >= 0).then(|| (topic.trim().to_owned(), partition, offset))
        };
        let (topic, partition, offset): (String, i32, i64) = read()
            .ok_or_else(|| StartError::Request(format!("`{part}` is no start: write `TOPIC/PARTITION=OFFSET`")))?;
        let of_topic: &mut Offsets = all.entry(topic).or_default();
        if of_topic.contains(partition) {
            return Err(StartError::Request(format!("`{part}`: the partition is named twice")));
        }
        of_topic.set(partition, offset);
    }
    Ok(all)
}
