//! Scalar functions within bounds. What a call can make is estimated from its arguments before it runs, and so large
//! calls are run piece by piece: between two pieces it is looked whether somebody still waits for the result, and how
//! much room there is.
//!
//! ```text
//! guard      puts a `Guarded` around every call of a plan, also around `||`, before anything is simplified
//! guarded    runs a call in pieces, takes room for each, and turns a panic into an error
//! growth     how large the results of which functions get
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

pub use guarded::{Guarded, unguarded};
pub use rule::{Guard, guarded};
pub use widths::{Width, elements};

/// What functions may use while they run.
pub trait Allowance: Debug + Send + Sync {
    /// # Errors
    /// Once nobody waits for the result any more.
    fn check(&self) -> Result<()>;

    /// Room for `bytes` of what `function` makes, of which the largest value has `value`, until what is returned is
    /// dropped.
    ///
    /// # Errors
    /// When there is none.
    fn take(&self, function: &str, bytes: usize, value: usize) -> Result<Option<MemoryReservation>>;

    /// Notes that `function` made `bytes`, which somebody holds now; of constants, once for each row.
    ///
    /// # Errors
    /// When there is no room for them.
    fn made(&self, function: &str, bytes: usize) -> Result<()>;
}

/// Most bytes that a function may make of one row of a stream. It is the same everywhere, so that which records fail
/// depends on nothing but the record.
pub const MOST_OF_A_ROW: usize = 16 << 20;
/// Most bytes that a function may make of one batch of a stream's rows.
const MOST_OF_A_BATCH: usize = 256 << 20;

/// What the functions of views may use, while they are planned and while rows are folded.
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
