//! A slice that is folded again from the log, because a cut fell into it.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::common::Result;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::rows;
use dovetail_core::view::{Folder, View};
use dovetail_ingestion::decode::Decoded;

/// ```text
/// [start        at      next .. end)
///   below ──────┤ above ──►
/// ```
#[derive(Debug)]
pub(crate) struct Split {
    pub(crate) whole: OffsetRange,
    pub(crate) at: i64,
    /// Next offset to fold again.
    pub(crate) next: i64,
    below: Folder,
    above: Folder,
}

impl Split {
    pub(crate) fn new(view: &Arc<View>, whole: OffsetRange, at: i64) -> Result<Self> {
        Ok(Self { whole, at, next: whole.start, below: Folder::new(view)?, above: Folder::new(view)? })
    }

    /// Folds what `decoded` has from the next offset on.
    pub(crate) async fn fold(&mut self, decoded: &Arc<Decoded>) -> Result<()> {
        if !decoded.range.contains(self.next) {
            return Ok(());
        }
        for (until, folder) in [(self.at, &mut self.below), (self.whole.end, &mut self.above)] {
            let part = decoded.between(self.next, until.max(self.next));
            folder.fold(&part.rows).await?;
            self.next = self.next.max(part.range.end);
        }
        Ok(())
    }

    pub(crate) fn is_done(&self) -> bool {
        self.next >= self.whole.end
    }

    /// The states below and above the cut.
    pub(crate) fn into_states(mut self, view: &View) -> Result<(Vec<RecordBatch>, Vec<RecordBatch>)> {
        Ok((take_state(view, &mut self.below)?, take_state(view, &mut self.above)?))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.below.size() + self.above.size()
    }
}

/// The state of `folder`, which holds nothing of what was folded.
pub(crate) fn take_state(view: &View, folder: &mut Folder) -> Result<Vec<RecordBatch>> {
    let state = folder.take_state()?;
    if view.is_aggregate() { Ok(state) } else { rows::copied(&state) }
}
