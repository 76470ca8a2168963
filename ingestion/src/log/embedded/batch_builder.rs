//! The batch of a read: records collected from consecutive stored batches up to a limit in bytes, and the cutting of
//! records by size.

use arrow::array::{Array, AsArray, Int64Array};
use arrow::compute::concat;
use arrow::error::ArrowError;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::{Fetched, Records};

/// An Arrow array holds at most 2 GiB of values: the batch stays well below.
const MOST_BYTES: usize = 1 << 30;

/// Bytes of the first `n` records: keys, values and headers.
pub(super) fn bytes_of_first(records: &Records, n: usize) -> usize {
    let upto = |offsets: &[i32]| (offsets[n] - offsets[0]) as usize;
    upto(records.keys.value_offsets()) + upto(records.values.value_offsets()) + upto(records.headers.value_offsets())
}

/// Number of leading records that have at most `bytes` together.
pub(super) fn fitting(records: &Records, bytes: usize) -> usize {
    let (mut fits, mut too_many) = (0, records.len() + 1);
    while too_many - fits > 1 {
        let middle = fits.midpoint(too_many);
        if bytes_of_first(records, middle) <= bytes {
            fits = middle;
        } else {
            too_many = middle;
        }
    }
    fits
}

/// Records from an offset on, up to a limit.
#[derive(Debug)]
pub(super) struct BatchBuilder {
    from: i64,
    next: i64,
    left: usize,
    pieces: Vec<Records>,
}

impl BatchBuilder {
    /// An empty batch that begins at `from`.
    pub(super) fn new(from: i64, max_bytes: usize) -> Self {
        Self { from, next: from, left: max_bytes.min(MOST_BYTES), pieces: Vec::new() }
    }

    /// The next offset that the batch needs.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Adds the records of the stored batch at `first` that fit; returns whether there is room for more.
    ///
    /// The first record is added whatever its size. A stored batch beyond the next offset is not added.
    pub(super) fn push(&mut self, first: i64, batch: &Records) -> bool {
        if first > self.next {
            return false;
        }
        let skip = usize::try_from(self.next - first).unwrap_or(0).min(batch.len());
        let batch = batch.slice(skip, batch.len() - skip);
        let most = if self.is_empty() { 1.min(batch.len()) } else { 0 };
        let take = fitting(&batch, self.left).max(most);
        if take == 0 {
            return batch.is_empty();
        }
        self.left = self.left.saturating_sub(bytes_of_first(&batch, take));
        self.next += take as i64;
        let whole = take == batch.len();
        self.pieces.push(if whole { batch } else { batch.slice(0, take) });
        whole && self.left > 0
    }

    /// The records collected, in one piece.
    pub(super) fn finish(self) -> Result<Fetched, ArrowError> {
        Ok(Fetched {
            offsets: Int64Array::from_iter_values(self.from..self.next),
            range: OffsetRange::new(self.from, self.next),
            records: join(self.pieces)?,
        })
    }
}

fn join(mut pieces: Vec<Records>) -> Result<Records, ArrowError> {
    match pieces.len() {
        0 => return Ok(Records::from_values(0, [])),
        1 => return Ok(pieces.remove(0)),
        _ => {}
    }
    let all = |column: fn(&Records) -> &dyn Array| concat(&pieces.iter().map(column).collect::<Vec<_>>());
    Ok(Records {
        timestamps: all(|records| &records.timestamps)?.as_primitive().clone(),
        keys: all(|records| &records.keys)?.as_binary().clone(),
        values: all(|records| &records.values)?.as_binary().clone(),
        headers: all(|records| &records.headers)?.as_string().clone(),
    })
}
