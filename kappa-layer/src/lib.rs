//! Stream jobs: views that are folded from the log alone, without landing, batch layer or generations.
//!
//! ```text
//! log   ├────────────── folded ──────────────┬──── folded ────┬╌╌╌╌ log end
//!       start                            checkpoint          head
//! ```
//! A job folds the views of one pipeline from a start and stays at the head of the log. The fold is that of the speed
//! layer, with the start of the job in place of a cut. At an interval the states are written as a checkpoint, with the
//! offsets that they reach; a job whose process died continues from its last checkpoint. Changed code is another job
//! that reads the log again while the first one goes on answering.

mod checkpoint;
mod config;
mod error;
mod job;
mod leased;
mod restore;

pub use config::KappaConfig;
pub use error::JobError;
pub use job::{JobProgress, StreamJob, StreamJobParts};
