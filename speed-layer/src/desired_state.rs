//! The desired state of the speed layer by the catalog: decided here, applied by the partitions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dovetail_core::catalog::{Catalog, CatalogError, RunState};
use dovetail_core::manifest::Manifest;
use dovetail_core::name::{StreamName, ViewName};
use dovetail_core::offsets::{Cut, Offsets};
use dovetail_core::view::View;

/// The start of a view's slices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Start {
    /// A cut: that of the current generation.
    Cut(Cut),
    /// The log's beginning: nothing was ever published.
    Beginning,
    /// None: generations exist, but none contains this view yet.
    Unfilled,
}

/// The desired state of one view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DesiredState {
    pub(crate) start: Start,
    /// The previous generation's cut, kept for readers that still use it.
    pub(crate) previous: Option<Cut>,
    /// Cuts of runs in progress: boundaries will be requested there.
    pub(crate) coming: Vec<Cut>,
}

/// The desired state of all views.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Targets {
    pub(crate) views: BTreeMap<ViewName, DesiredState>,
    /// The known starts of each stream's landing: used while nothing is published.
    pub(crate) landed_from: BTreeMap<StreamName, Offsets>,
}

impl Targets {
    /// Whether records of the landing are missing in a log that starts at `log_start`: a state folded from there would
    /// be incomplete.
    pub(crate) fn lost(&self, stream: &StreamName, partition: i32, log_start: i64) -> bool {
        let landed = self.landed_from.get(stream).and_then(|from| from.iter().find(|&(p, _)| p == partition));
        landed.is_some_and(|(_, first)| first < log_start)
    }
}

impl DesiredState {
    /// The start of one partition's slices, unless the view is unfilled.
    pub(crate) fn start(&self, partition: i32) -> Option<i64> {
        match &self.start {
            Start::Cut(cut) => Some(cut.get(partition)),
            Start::Beginning => Some(0),
            Start::Unfilled => None,
        }
    }

    pub(crate) fn is_log_start(&self) -> bool {
        self.start == Start::Beginning
    }

    /// The boundaries of one partition that must not be merged away.
    pub(crate) fn pinned(&self, partition: i32) -> BTreeSet<i64> {
        let cuts = self.previous.iter().chain(&self.coming).map(|cut| cut.get(partition));
        cuts.chain(self.start(partition)).collect()
    }

    /// The offset below which slices may retire: the lower of both cuts.
    pub(crate) fn retire_below(&self, partition: i32) -> i64 {
        let start = self.start(partition).unwrap_or(0);
        self.previous.as_ref().map_or(start, |previous| previous.get(partition).min(start))
    }
}

/// Reads the desired state of `views` from the catalog; `topics` are those of their streams. `before` is the last one:
/// its cuts become the previous ones.
pub(crate) async fn read(
    catalog: &Catalog,
    views: &[Arc<View>],
    topics: &BTreeMap<StreamName, String>,
    before: &Targets,
) -> Result<Targets, CatalogError> {
    let running = catalog.runs(1).await?.into_iter().find(|run| run.state == RunState::Running);
    let manifest = catalog.current_manifest().await?;
    let mut targets = Targets::default();
    if manifest.is_none() {
        for (stream, topic) in topics {
            let partitions = catalog.partitions(topic).await?;
            let first = partitions.into_iter().map(|p| (p.partition, p.first_offset)).collect();
            targets.landed_from.insert(stream.clone(), first);
        }
    }
    for view in views {
        let start = start_of(view, manifest.as_ref());
        let coming = running.iter().filter_map(|run| run.cuts.get(&view.stream)).cloned().collect();
        let previous = before.views.get(&view.name).and_then(|old| previous_cut(old, &start));
        targets.views.insert(view.name.clone(), DesiredState { start, previous, coming });
    }
    Ok(targets)
}

fn start_of(view: &View, manifest: Option<&Manifest>) -> Start {
    match manifest {
        None => Start::Beginning,
        Some(manifest) => match manifest.views.get(&view.name) {
            Some(states) if states.fingerprint == view.fingerprint => Start::Cut(states.cut.clone()),
            _ => Start::Unfilled,
        },
    }
}

fn previous_cut(old: &DesiredState, start: &Start) -> Option<Cut> {
    match &old.start {
        same if same == start => old.previous.clone(),
        Start::Cut(cut) => Some(cut.clone()),
        // The log's beginning is kept too: a reader may still be at generation 0.
        Start::Beginning => Some(Cut::default()),
        Start::Unfilled => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(offset: i64) -> Cut {
        Cut([(0, offset)].into_iter().collect())
    }

    fn target(start: Start, previous: Option<Cut>) -> DesiredState {
        DesiredState { start, previous, coming: vec![cut(90)] }
    }

    #[test]
    fn the_cut_before_is_kept_until_there_is_another() {
        let first = target(Start::Cut(cut(50)), None);
        assert_eq!(previous_cut(&first, &Start::Cut(cut(70))), Some(cut(50)));
        let second = target(Start::Cut(cut(70)), Some(cut(50)));
        assert_eq!(previous_cut(&second, &Start::Cut(cut(70))), Some(cut(50)), "another generation with the same cut");
        assert_eq!(previous_cut(&second, &Start::Unfilled), Some(cut(70)));
        assert_eq!(previous_cut(&target(Start::Beginning, None), &Start::Cut(cut(70))), Some(Cut::default()));
    }

    #[test]
    fn both_cuts_and_those_to_come_are_pinned() {
        let both = target(Start::Cut(cut(70)), Some(cut(50)));
        assert_eq!(both.pinned(0), [50, 70, 90].into());
        assert_eq!(both.retire_below(0), 50);
        let back = target(Start::Cut(cut(50)), Some(cut(70)));
        assert_eq!(back.retire_below(0), 50, "after a rollback");
        assert_eq!(target(Start::Beginning, None).retire_below(0), 0);
    }
}
