//! The speed layer: records since the cut, folded in memory.
//!
//! ```text
//! log partition   ──────────────┬───────────┬─────┬──┬─┬╌╌╌╌╌╌╌╌ log end
//! slices            (retired)   │   slice   │slice│..│ │ open
//!                               start = cut              head
//! ```
//!
//! Each partition of a stream has one `partition` task that folds every view of the stream. States merge but do not
//! subtract, so a view's history since its cut is kept as [`dovetail_core::slices`] whose boundaries stay where a cut
//! may fall. Nothing is on disk: after a restart the log is folded again from the cut.

mod config;
mod desired_state;
mod flight;
mod handles;
mod job;
mod layer;
mod partition;
mod purpose;
mod refold;
mod start;
mod status;
mod view_fold;
mod views;
mod watch_catalog;

#[cfg(test)]
mod tests;

pub use config::SpeedConfig;
pub use flight::{FlightConfig, serve};
pub use job::JobParts;
pub use layer::SpeedLayer;
pub use start::SpeedParts;
pub use status::{FoldState, PartitionStatus};
