//! A slice that is folded again from the log, because a cut fell into it.

use std::sync::Arc;

use datafusion::common::Result;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::realtime::Slice;
use dovetail_core::row_states;
use dovetail_core::view::{FoldError, Folder, View};
use dovetail_ingestion::formats::Decoded;

/// ```text
/// [start        at      next .. end)
///   below ──────┤ above ──►
/// ```
#[derive(Debug)]
pub(crate) struct Refold {
    pub(crate) whole: OffsetRange,
    pub(crate) at: i64,
    /// Next offset to fold again.
    pub(crate) next: i64,
    below: Folder,
    above: Folder,
}

impl Refold {
    pub(crate) fn new(view: &Arc<View>, whole: OffsetRange, at: i64) -> Result<Self> {
        Ok(Self { whole, at, next: whole.start, below: Folder::new(view)?, above: Folder::new(view)? })
    }

    /// Folds the rows of `decoded` from the next offset on.
    pub(crate) async fn fold(&mut self, decoded: &Arc<Decoded>) -> Result<(), FoldError> {
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

    /// The slices below and above the cut.
    pub(crate) fn into_slices(mut self, view: &View, partition: i32) -> Result<(Slice, Slice)> {
        let OffsetRange { start, end } = self.whole;
        let below = take_slice(view, &mut self.below, partition, OffsetRange::new(start, self.at))?;
        Ok((below, take_slice(view, &mut self.above, partition, OffsetRange::new(self.at, end))?))
    }

    pub(crate) fn bytes(&self) -> usize {
        self.below.size() + self.above.size()
    }
}

/// Takes the slice of `range` out of `folder`.
pub(crate) fn take_slice(view: &View, folder: &mut Folder, partition: i32, range: OffsetRange) -> Result<Slice> {
    let state = folder.take_state()?;
    let state = if view.is_aggregate() { state } else { row_states::copied(&state)? };
    Ok(Slice { partition, range, state: Arc::new(state), errors: Arc::new(folder.take_errors()) })
}
