//! The choice of a run: the cut, and for each view the segments to fold and the earlier states to merge them with.

use std::collections::BTreeMap;
use std::sync::Arc;

use dovetail_core::catalog::{Gap, Partition, RunKind, Segment};
use dovetail_core::manifest::{Manifest, ViewStates};
use dovetail_core::name::{StreamName, ViewName};
use dovetail_core::offsets::{Cut, OffsetRange, Offsets};
use dovetail_core::view::View;

/// Number of files at which a view of rows is folded anew: each incremental run adds one.
const MAX_FILES: usize = 64;
/// Number of deltas after which an incremental run merges them with the states.
pub(crate) const MAX_DELTAS: usize = 7;

/// A stream's landing in the catalog.
#[derive(Debug, Clone)]
pub(crate) struct StreamLanding {
    pub(crate) topic: String,
    /// The segments by partition and offset.
    pub(crate) segments: Vec<Segment>,
    /// The offsets that the log had lost before they were landed.
    pub(crate) gaps: Vec<Gap>,
    pub(crate) partitions: Vec<Partition>,
}

/// The facts that the choice depends on.
#[derive(Debug)]
pub(crate) struct Situation<'a> {
    pub(crate) kind: RunKind,
    /// The requested views; `None` for all.
    pub(crate) wanted: Option<&'a [ViewName]>,
    /// The pipeline's views.
    pub(crate) views: &'a [Arc<View>],
    pub(crate) landed: &'a BTreeMap<StreamName, StreamLanding>,
    /// The current generation's manifest.
    pub(crate) current: Option<&'a Manifest>,
}

/// The choice. Without folds there is nothing to do.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// The cuts of the streams that are folded.
    pub(crate) cuts: BTreeMap<StreamName, Cut>,
    pub(crate) folds: Vec<ViewFoldPlan>,
    /// Views that keep their states.
    pub(crate) kept: BTreeMap<ViewName, ViewStates>,
}

/// `states = merge(base, fold(segments))`
#[derive(Debug, Clone)]
pub(crate) struct ViewFoldPlan {
    pub(crate) view: Arc<View>,
    pub(crate) topic: String,
    pub(crate) cut: Cut,
    pub(crate) base: Option<ViewStates>,
    pub(crate) segments: Vec<Segment>,
    /// The published states of exactly this view, which stay if the fold fails.
    pub(crate) published: Option<ViewStates>,
}

impl ViewFoldPlan {
    /// Number of rows to read.
    pub(crate) fn rows(&self) -> u64 {
        self.segments.iter().map(|segment| segment.rows).sum()
    }
}

impl StreamLanding {
    /// The end of the landing. Segments and gaps determine it: a partition may have moved on since they were read.
    pub(crate) fn cut(&self) -> Cut {
        let mut cut: Offsets = self.partitions.iter().map(|p| (p.partition, p.first_offset)).collect();
        for (partition, range, _) in self.ranges() {
            cut.set(partition, range.end);
        }
        Cut(cut)
    }

    fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.gaps.is_empty()
    }

    /// The ranges of the landing, by partition and offset; a gap has no segment.
    fn ranges(&self) -> Vec<(i32, OffsetRange, Option<&Segment>)> {
        let segments = self.segments.iter().map(|segment| (segment.partition, segment.range, Some(segment)));
        let mut ranges: Vec<_> = segments.chain(self.gaps.iter().map(|gap| (gap.partition, gap.range, None))).collect();
        ranges.sort_by_key(|(partition, range, _)| (*partition, range.start));
        ranges
    }

    /// The segments from `base` on; `None` when a segment lies on both sides of it, or there is a hole between them.
    fn since(&self, base: &Cut) -> Option<Vec<Segment>> {
        let mut expected: BTreeMap<i32, i64> = base.0.iter().collect();
        let mut since = vec![];
        for (partition, range, segment) in self.ranges() {
            let at = *expected.entry(partition).or_insert(range.start);
            if range.end <= at {
                continue;
            }
            if range.start != at {
                return None;
            }
            expected.insert(partition, range.end);
            since.extend(segment.cloned());
        }
        // A base beyond the landing belongs to another landing.
        let cut = self.cut();
        base.0.iter().all(|(partition, offset)| offset <= cut.get(partition)).then_some(since)
    }
}

/// Chooses the work of a run.
///
/// | view                                   | full              | incremental                     |
/// |----------------------------------------|-------------------|---------------------------------|
/// | has states of its fingerprint          | all segments      | states + segments since         |
/// | .. and nothing landed since            | all segments      | keeps its states                |
/// | has none, or its cut is no boundary    | all segments      | all segments                    |
/// | has 64 files of rows or of errors      | all segments      | all segments                    |
/// | is not wanted, has states              | keeps its states  | keeps its states                |
/// | is no longer in the pipeline           | drops out         | drops out                       |
pub(crate) fn choose(situation: &Situation<'_>) -> Choice {
    let mut choice = Choice::default();
    for view in situation.views {
        let Some(landed) = situation.landed.get(&view.stream) else { continue };
        let states = states_of(view, situation.current);
        let wanted = situation.wanted.is_none_or(|wanted| wanted.contains(&view.name));
        match (wanted, states) {
            (false, Some(states)) => drop(choice.kept.insert(view.name.clone(), states.clone())),
            (false, None) => {}
            (true, states) => choice.add(view, landed, states, situation.kind),
        }
    }
    // Views that were never filled over a log without landed records have nothing to publish.
    let landed = |fold: &ViewFoldPlan| situation.landed.get(&fold.view.stream).is_some_and(|landed| !landed.is_empty());
    let nothing_landed = !choice.folds.iter().any(landed);
    if nothing_landed && situation.current.is_none() {
        choice.folds.clear();
        choice.cuts.clear();
    }
    choice
}

impl Choice {
    /// The objects to read, with their sizes in bytes.
    pub(crate) fn sizes(&self) -> BTreeMap<String, u64> {
        let segments = self.folds.iter().flat_map(|fold| &fold.segments);
        segments.map(|segment| (segment.path.clone(), segment.bytes)).collect()
    }

    fn add(&mut self, view: &Arc<View>, landed: &StreamLanding, states: Option<&ViewStates>, kind: RunKind) {
        let base = states
            .filter(|states| kind == RunKind::Incremental && (view.is_aggregate() || states.files.len() < MAX_FILES))
            .filter(|states| states.errors.files.len() < MAX_FILES);
        let since = base.and_then(|base| Some((base, landed.since(&base.cut)?)));
        let cut = landed.cut();
        let (base, segments) = match since {
            // A gap alone moves the cut too.
            Some((base, since)) if since.is_empty() && cut.0.iter().all(|(p, end)| base.cut.get(p) == end) => {
                self.kept.insert(view.name.clone(), base.clone());
                return;
            }
            Some((base, since)) => (Some(base.clone()), since),
            None => (None, landed.segments.clone()),
        };
        self.cuts.insert(view.stream.clone(), cut.clone());
        let (topic, published) = (landed.topic.clone(), states.cloned());
        self.folds.push(ViewFoldPlan { view: Arc::clone(view), topic, cut, base, segments, published });
    }
}

/// The states of exactly this view.
fn states_of<'m>(view: &View, current: Option<&'m Manifest>) -> Option<&'m ViewStates> {
    let states = current?.views.get(&view.name)?;
    (states.fingerprint == view.fingerprint).then_some(states)
}

/// The views without states.
pub(crate) fn unfilled(views: &[Arc<View>], current: Option<&Manifest>) -> Vec<ViewName> {
    let unfilled = views.iter().filter(|view| states_of(view, current).is_none());
    unfilled.map(|view| view.name.clone()).collect()
}
