//! What is compared: a pipeline with its lookups in a folder of its own, and the records for its stream.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use dovetail_connectors::sources::file::{EventTime, SourceOptions, open};
use dovetail_connectors::sources::generate::{GenerateOptions, Kind, generate};
use dovetail_core::pipeline::Stream;
use dovetail_core::view::View;
use dovetail_report::figures::Origin;
use dovetail_server::process::plan::Plan;

use super::change::NewCode;
use crate::args::Compare;

/// The pipeline of the binary, from `data/clicks`.
const FILES: [(&str, &str); 2] = [
    (PIPELINE, include_str!("../../../../data/clicks/pipeline.sql")),
    ("countries.csv", include_str!("../../../../data/clicks/countries.csv")),
];
const PIPELINE: &str = "pipeline.sql";

/// Records when no number is given, and in the quick form.
const EVENTS: u64 = 800_000;
const EVENTS_QUICK: u64 = 160_000;
/// The longest history is so many times the shortest.
pub(super) const LENGTHS: [u64; 4] = [1, 2, 4, 8];
const LONGEST: u64 = 8;

/// A pipeline and its records.
pub(super) struct Workload {
    /// The pipeline's file, in a folder that is written to.
    pub(super) pipeline: PathBuf,
    pub(super) name: String,
    pub(super) text: String,
    pub(super) stream: Arc<Stream>,
    /// The views that are folded.
    pub(super) views: Vec<Arc<View>>,
    /// The values of all records: the longest history.
    pub(super) records: Vec<Vec<u8>>,
    pub(super) origin: Origin,
    /// The code with a view changed, and that with a view added.
    pub(super) changed: NewCode,
    pub(super) added: NewCode,
}

impl Workload {
    /// Reads the pipeline and its records; `folder` gets the files of the pipeline.
    pub(super) async fn load(args: &Compare, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
        let (plan, name) = match &args.pipeline {
            Some(path) => (copied(path, folder).await?, path.display().to_string()),
            None => (built_in(folder).await?, "clicks".to_owned()),
        };
        let views = plan.folded();
        let first = views.first().with_context(|| format!("`{name}` has no view that is folded"))?;
        let stream = plan.pipeline.streams.iter().find(|stream| stream.name == first.stream);
        let stream = Arc::new(stream.context("the stream of a view is declared")?.clone());
        let events = args.events.unwrap_or(if args.quick { EVENTS_QUICK } else { EVENTS });
        let (records, origin) = records(args, &stream, events)?;
        if (records.len() as u64) < LONGEST {
            bail!("{} records are too few to compare: {LONGEST} are needed at least", records.len());
        }
        Ok(Self {
            pipeline: folder.join(PIPELINE),
            changed: NewCode::changed(&plan.text, first),
            added: NewCode::added(&plan.text, first),
            text: plan.text,
            name,
            views: views.into_iter().filter(|view| view.stream == stream.name).collect(),
            stream,
            records,
            origin,
        })
    }

    /// Records of the shortest history.
    pub(super) fn shortest(&self) -> u64 {
        self.records.len() as u64 / LONGEST
    }

    /// Records of the longest history.
    pub(super) fn longest(&self) -> u64 {
        self.records.len() as u64
    }

    /// The bytes of the records of the shortest history.
    pub(super) fn payload_bytes(&self) -> u64 {
        self.records.iter().take(self.shortest() as usize).map(|record| record.len() as u64).sum()
    }

    /// Records that are more than a week older than the youngest, by their event time; none where they have none.
    pub(super) fn older_than_a_week(&self) -> Option<u64> {
        let event_time = EventTime::of(&self.stream)?;
        let times: Vec<i64> = self.records.iter().filter_map(|record| event_time.read_ms(record)).collect();
        let youngest = times.iter().max()?;
        Some(times.iter().filter(|time| **time < youngest - 7 * 24 * 3_600_000).count() as u64)
    }
}

async fn built_in(folder: &Path) -> Result<Plan> {
    for (name, text) in FILES {
        let path = folder.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    planned(&folder.join(PIPELINE)).await
}

async fn planned(path: &Path) -> Result<Plan> {
    match Plan::load(path).await {
        Ok(plan) => Ok(plan),
        Err(errors) => bail!("{errors}"),
    }
}

/// Copies the user's pipeline and its lookups: files with other code are written beside them later.
async fn copied(path: &Path, folder: &Path) -> Result<Plan> {
    let plan = planned(path).await?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let beside = std::path::absolute(parent.unwrap_or(Path::new(".")))?;
    for lookup in &plan.pipeline.lookups {
        // A lookup with an absolute path elsewhere is found there again.
        let Ok(relative) = lookup.path.strip_prefix(&beside) else { continue };
        if relative.components().any(|part| part == Component::ParentDir) {
            bail!(
                "the lookup `{}` lies outside of the pipeline's folder: name it by its absolute path, or move it beside \
                 the pipeline",
                lookup.name
            );
        }
        let to = folder.join(relative);
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::copy(&lookup.path, &to).with_context(|| format!("cannot copy `{}`", lookup.path.display()))?;
    }
    std::fs::write(folder.join(PIPELINE), &plan.text).context("cannot write the pipeline")?;
    planned(&folder.join(PIPELINE)).await
}

fn records(args: &Compare, stream: &Arc<Stream>, events: u64) -> Result<(Vec<Vec<u8>>, Origin)> {
    let Some(from) = &args.from else {
        let kind = match stream.name.as_str() {
            "clicks" => Kind::Clicks,
            "service_requests" => Kind::Nyc311,
            "readings" => Kind::Weather,
            other => bail!("nothing is generated for a stream called `{other}`: name its records with `--from FILE`"),
        };
        let options = GenerateOptions { events, seed: args.seed, late: 0.0, bad: 0.0, start_ms: None };
        return Ok((generate(kind, &options).collect(), Origin::Seed(args.seed)));
    };
    let options = SourceOptions { stream: Arc::clone(stream), format: None, force: false };
    let mut records = vec![];
    let all = args.events.is_none() && !args.quick;
    for record in open(from, &options)?.take(if all { usize::MAX } else { events as usize }) {
        let record = record.with_context(|| format!("in `{from}`"))?;
        if record.too_long.is_none() {
            records.push(record.value);
        }
    }
    Ok((records, Origin::File(from.clone())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_pipeline_in_the_binary_and_its_new_code_can_be_planned() {
        let folder = tempfile::tempdir().unwrap();
        let plan = built_in(folder.path()).await.unwrap();
        let first = &plan.folded()[0];
        for code in [NewCode::changed(&plan.text, first), NewCode::added(&plan.text, first)] {
            let path = folder.path().join("new.sql");
            std::fs::write(&path, &code.text).unwrap();
            let new = planned(&path).await.unwrap();
            assert!(new.folded().iter().any(|view| view.name.as_str() == code.view), "{}", code.view);
            assert!(new.text != plan.text);
        }
    }
}
