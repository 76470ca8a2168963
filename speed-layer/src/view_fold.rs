//! One view in one partition: its open state, its slices, and where it stands.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::Result;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::realtime::{RealtimeError, Slice};
use dovetail_core::view::{Folder, View};
use dovetail_ingestion::decode::Decoded;

use crate::target::{Start, Target};

/// How many segment ends are kept in mind. A cut at an older one costs folding a slice again.
const EXPECTED: usize = 8;

/// Folds one view's rows of one partition.
#[derive(Debug)]
pub(crate) struct ViewFold {
    pub(crate) view: Arc<View>,
    partition: i32,
    target: Target,
    /// Ends of the latest segments of the landing, where the next cut may fall.
    expected: BTreeSet<i64>,
    /// `None` while the view is unfilled.
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    floor: i64,
    slices: crate::slices::Slices,
    folder: Folder,
    /// Start of the open state; it ends at `head`.
    open: i64,
    head: i64,
}

impl ViewFold {
    pub(crate) fn new(view: Arc<View>, partition: i32) -> Self {
        let target = Target { start: Start::Unfilled, previous: None, coming: vec![] };
        Self { view, partition, target, expected: BTreeSet::new(), held: None }
    }

    /// Next offset to fold; `None` while there is nothing to do.
    pub(crate) fn head(&self) -> Option<i64> {
        self.held.as_ref().map(|held| held.head)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.held.as_ref().map_or(0, |held| held.slices.bytes() + held.folder.size())
    }

    /// A segment will end at `end`: when it is still ahead, a slice will end there too.
    pub(crate) fn expect(&mut self, end: i64) -> Result<()> {
        self.expected.insert(end);
        while self.expected.len() > EXPECTED {
            self.expected.pop_first();
        }
        // When it is behind, what is folded from here on at least does not add to the slice around it.
        if self.head().is_some_and(|head| end <= head) {
            self.seal()?;
        }
        Ok(())
    }

    fn pinned(&self) -> BTreeSet<i64> {
        let mut pinned = self.target.pinned(self.partition);
        pinned.extend(&self.expected);
        pinned
    }

    /// Takes over what the catalog says. `log_start` is the first offset that the log still has.
    ///
    /// Returns the offset at which a boundary is needed but missing, if there is one: the slice around it has to
    /// be folded again.
    pub(crate) fn aim(&mut self, target: Target, log_start: i64) -> Result<Option<OffsetRange>> {
        self.target = target;
        let start = match &self.target.start {
            Start::Unfilled => {
                self.held = None;
                return Ok(None);
            }
            Start::LogStart => 0,
            Start::Cut(cut) => cut.get(self.partition),
        };
        let reachable = self.held.as_ref().is_some_and(|held| held.floor <= start && start <= held.head);
        if !reachable {
            self.begin(start, log_start)?;
            return Ok(None);
        }
        self.seal()?;
        let Some(held) = &mut self.held else { return Ok(None) };
        if let Some(range) = held.slices.cut_by(start) {
            return Ok(Some(range));
        }
        self.retire();
        Ok(None)
    }

    /// Starts empty at `start`. Records below `log_start` that no batch view holds never existed for Dovetail:
    /// the log began there when it was first read.
    fn begin(&mut self, start: i64, log_start: i64) -> Result<()> {
        let mut slices = crate::slices::Slices::default();
        let mut head = start;
        if self.target.start == Start::LogStart && log_start > start {
            slices.push(self.partition, OffsetRange::new(start, log_start), vec![]);
            head = log_start;
        }
        self.held = Some(Held { floor: start, slices, folder: Folder::new(&self.view)?, open: head, head });
        Ok(())
    }

    /// Splits the slice around the cut, whose two parts were folded again.
    pub(crate) fn split_at_cut(&mut self, below: Folder, above: Folder) -> Result<()> {
        let (mut below, mut above) = (below, above);
        if let (Start::Cut(cut), Some(held)) = (&self.target.start, &mut self.held) {
            held.slices.split(cut.get(self.partition), below.take_state()?, above.take_state()?);
        }
        self.retire();
        Ok(())
    }

    fn retire(&mut self) {
        let Some(held) = &mut self.held else { return };
        let below = self.target.retire_below(self.partition);
        // A previous cut can lie in the middle of a slice after a rollback: only whole slices go.
        if held.slices.cut_by(below).is_none() {
            held.slices.retire(below);
            held.floor = held.floor.max(below);
        }
    }

    /// Folds the rows of `decoded` that this view has not folded yet.
    pub(crate) async fn fold(&mut self, decoded: &Arc<Decoded>) -> Result<()> {
        let Some(head) = self.head().filter(|&head| decoded.range.contains(head)) else { return Ok(()) };
        let ahead = self.pinned().into_iter().filter(|&b| head < b && b < decoded.range.end);
        let mut boundaries: Vec<i64> = ahead.collect();
        boundaries.push(decoded.range.end);
        for end in boundaries {
            self.fold_until(decoded, end).await?;
        }
        Ok(())
    }

    async fn fold_until(&mut self, decoded: &Arc<Decoded>, end: i64) -> Result<()> {
        let Some(held) = &mut self.held else { return Ok(()) };
        let part = decoded.between(held.head, end);
        held.folder.fold(&part.rows).await?;
        held.head = end;
        if end < decoded.range.end {
            self.seal()?;
        }
        Ok(())
    }

    /// Closes the open state into a slice.
    pub(crate) fn seal(&mut self) -> Result<()> {
        let pinned = self.pinned();
        let Some(held) = &mut self.held else { return Ok(()) };
        if held.open < held.head {
            let range = OffsetRange::new(held.open, held.head);
            held.slices.push(self.partition, range, held.folder.take_state()?);
            held.open = held.head;
            held.slices.compact(&self.view, &pinned)?;
        }
        Ok(())
    }

    /// The sealed slices from `floor`, and the offset at which they end.
    pub(crate) fn read(&self, floor: i64) -> Result<(Vec<Slice>, i64), RealtimeError> {
        let view = || self.view.name.clone();
        let Some(held) = &self.held else { return Err(RealtimeError::Unfilled(view())) };
        let reachable = held.floor <= floor && floor <= held.open && held.slices.cut_by(floor).is_none();
        if !reachable {
            let behind = (floor - held.head).max(0);
            return Err(RealtimeError::CatchingUp { view: view(), partition: self.partition, head: held.head, behind });
        }
        Ok((held.slices.from(floor), held.open))
    }
}
