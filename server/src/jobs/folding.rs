//! A fold within a limit of memory.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use datafusion::execution::memory_pool::MemoryReservation;
use dovetail_core::view::{Folder, Tally, View};
use dovetail_serving_layer::Pool;

/// A folder whose memory is reserved from a pool.
pub(crate) struct Folding {
    pub(crate) folder: Folder,
    pub(crate) memory: Arc<Pool>,
    pub(crate) room: MemoryReservation,
    /// Tally of the records left out.
    pub(crate) errors: Tally,
    /// Batches of partitions with few records, which are folded together: each fold has a cost of its own.
    waiting: Vec<RecordBatch>,
}

/// Payload bytes of a read of the log, and of batches that are folded together.
pub(crate) const READ_BYTES: usize = 4 << 20;
/// Number of rows folded at once; fewer if they reach the bytes of one read.
const TOGETHER: u64 = 8192;

impl Folding {
    pub(crate) fn new(view: &Arc<View>, memory: &Arc<Pool>) -> Result<Self> {
        let (folder, memory) = (Folder::new(view)?, Arc::clone(memory));
        Ok(Self { folder, room: memory.for_view(&view.name), memory, errors: Tally::default(), waiting: vec![] })
    }

    pub(crate) async fn fold(&mut self, rows: &RecordBatch) -> Result<()> {
        self.waiting.push(rows.clone());
        match rows_of(&self.waiting) >= TOGETHER || bytes_of(&self.waiting) >= READ_BYTES {
            true => self.fold_waiting().await,
            false => Ok(()),
        }
    }

    pub(crate) async fn fold_waiting(&mut self) -> Result<()> {
        let Some(first) = self.waiting.first() else { return Ok(()) };
        let rows = concat_batches(&first.schema(), &self.waiting)?;
        self.waiting.clear();
        self.folder.fold(&rows).await?;
        self.errors += self.folder.take_errors().tally;
        self.room.try_resize(self.folder.size()).map_err(|error| self.memory.explain(error))?;
        Ok(())
    }
}

pub(crate) fn rows_of(batches: &[RecordBatch]) -> u64 {
    batches.iter().map(|batch| batch.num_rows() as u64).sum()
}

pub(crate) fn bytes_of(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::get_array_memory_size).sum()
}
