//! What the speed layer has to hold for each view, as the catalog says: decided here, done by the partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dovetail_core::catalog::{Catalog, CatalogError, RunState};
use dovetail_core::manifest::Manifest;
use dovetail_core::name::{Generation, ViewName};
use dovetail_core::offsets::Cut;
use dovetail_core::view::View;

/// Where a view's slices have to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Start {
    /// At a cut: that of the current generation.
    Cut(Cut),
    /// At the log's beginning: nothing was ever published.
    LogStart,
    /// Nowhere: generations exist, but none holds this view yet.
    Unfilled,
}

/// Of one view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) start: Start,
    /// The previous generation's cut: kept for readers that still use it.
    pub(crate) previous: Option<Cut>,
    /// Cuts of runs under way: boundaries there will be asked for.
    pub(crate) coming: Vec<Cut>,
}

/// Of all views.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Targets {
    pub(crate) generation: Generation,
    pub(crate) views: BTreeMap<ViewName, Target>,
}

impl Target {
    /// The boundaries of one partition that must not be merged away.
    pub(crate) fn pinned(&self, partition: i32) -> BTreeSet<i64> {
        let current = match &self.start {
            Start::Cut(cut) => Some(cut),
            Start::LogStart | Start::Unfilled => None,
        };
        current.into_iter().chain(&self.previous).chain(&self.coming).map(|cut| cut.get(partition)).collect()
    }

    /// Below which offset slices may retire: the lower of both cuts.
    pub(crate) fn retire_below(&self, partition: i32) -> i64 {
        match (&self.start, &self.previous) {
            (Start::Cut(cut), Some(previous)) => cut.get(partition).min(previous.get(partition)),
            (Start::Cut(cut), None) => cut.get(partition),
            (Start::LogStart | Start::Unfilled, _) => 0,
        }
    }
}

/// Reads from the catalog what `views` need. `before` is what was true last: its cuts become the previous ones.
pub(crate) async fn read(catalog: &Catalog, views: &[Arc<View>], before: &Targets) -> Result<Targets, CatalogError> {
    let running = catalog.runs(1).await?.into_iter().find(|run| run.state == RunState::Running);
    let manifest = catalog.current_manifest().await?;
    let generation = manifest.as_ref().map(|m| m.generation).unwrap_or_default();
    let mut targets = Targets { generation, ..Targets::default() };
    for view in views {
        let start = start_of(view, manifest.as_ref());
        let coming = running.iter().filter_map(|run| run.cuts.get(&view.stream)).cloned().collect();
        let previous = before.views.get(&view.name).and_then(|old| previous_cut(old, &start));
        targets.views.insert(view.name.clone(), Target { start, previous, coming });
    }
    Ok(targets)
}

fn start_of(view: &View, manifest: Option<&Manifest>) -> Start {
    match manifest {
        None => Start::LogStart,
        Some(manifest) => match manifest.views.get(&view.name) {
            Some(states) if states.fingerprint == view.fingerprint => Start::Cut(states.cut.clone()),
            _ => Start::Unfilled,
        },
    }
}

fn previous_cut(old: &Target, start: &Start) -> Option<Cut> {
    match &old.start {
        same if same == start => old.previous.clone(),
        Start::Cut(cut) => Some(cut.clone()),
        // The log's beginning is kept too: a reader may still be at generation 0.
        Start::LogStart => Some(Cut::default()),
        Start::Unfilled => None,
    }
}
