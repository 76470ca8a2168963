//! Scalar functions within bounds. The result of a call is estimated from its arguments before it runs, and large calls
//! are run piece by piece: between two pieces the guard checks whether the query is still wanted and how much memory is
//! left.
//!
//! ```text
//! guard      puts a `Guarded` around every call of a plan, also around `||`, before anything is simplified
//! guarded    runs a call in pieces, takes room for each, and turns a panic into an error
//! growth     how large the results of each function get
//! widths     bytes of each row of an argument
//! ```

mod concat;
mod growth;
mod guarded;
mod rule;
mod widths;

#[cfg(test)]
mod tests;

use std::fmt::Debug;

use datafusion::common::{DataFusionError, Result, exec_err};
use datafusion::execution::memory_pool::MemoryReservation;

pub use guarded::{Guarded, guarded, unguarded};
pub use rule::Guard;
pub use widths::{Width, elements};

/// The resources that functions may use while they run.
pub trait Allowance: Debug + Send + Sync {
    /// Checks whether the result is still wanted.
    ///
    /// # Errors
    /// When the query was cancelled, or its time is over.
    fn check(&self) -> Result<()>;

    /// Reserves `bytes` for a result of `function` whose largest value has `value` bytes, until the reservation is
    /// dropped.
    ///
    /// # Errors
    /// When there is not enough memory.
    fn take(&self, function: &str, bytes: usize, value: usize) -> Result<Option<MemoryReservation>>;

    /// Accounts for `bytes` that `function` made and that its caller holds now; a constant counts once for each row.
    ///
    /// # Errors
    /// When there is not enough memory for them.
    fn made(&self, function: &str, bytes: usize) -> Result<()>;
}

/// Greatest result of a function for one row of a stream, in bytes. It is the same everywhere, so that the records that
/// fail depend on nothing but the record.
pub const MOST_OF_A_ROW: usize = 16 << 20;
/// Greatest result of a function for one batch of a stream's rows, in bytes.
const MOST_OF_A_BATCH: usize = 256 << 20;

/// The allowance of the functions of views, in planning and in folding.
#[derive(Debug, Clone, Copy)]
pub struct OfViews;

impl Allowance for OfViews {
    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn take(&self, function: &str, bytes: usize, value: usize) -> Result<Option<MemoryReservation>> {
        if value > MOST_OF_A_ROW {
            return exec_err!(
                "`{function}()` would make a value of {value} bytes, in a view it may have {MOST_OF_A_ROW}"
            );
        }
        if bytes > MOST_OF_A_BATCH {
            return Err(DataFusionError::ResourcesExhausted(format!(
                "`{function}()` would make {bytes} bytes of one batch of rows, it may make {MOST_OF_A_BATCH}"
            )));
        }
        Ok(None)
    }

    fn made(&self, _function: &str, _bytes: usize) -> Result<()> {
        Ok(())
    }
}
