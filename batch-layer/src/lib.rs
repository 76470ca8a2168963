//! The batch layer: lands the log as Parquet segments, folds them into batch views and publishes these.
//!
//! ```text
//! landing     decoded log ─► segment ─► catalog: next offset moves from the segment's start to its end
//! recompute   segments below the cut ─► states ─► manifest ─► catalog: the current pointer moves
//! upkeep      retire old generations, compact small segments, delete garbage
//! ```
//!
//! [`BatchLayer::start`] runs all of it on a task tracker; [`BatchHandle`] takes requests and shows the state. Nothing
//! here knows of the speed layer or of serving: they watch the catalog.

mod config;
mod handle;
mod landing;
mod layer;
mod leader;
mod put;
mod recompute;
mod runner;
mod schedule;
mod upkeep;
mod writer_id;

#[cfg(test)]
mod tests;

pub use config::{BatchConfig, LandingConfig, RunConfig};
pub use handle::BatchHandle;
pub use landing::{LandingState, LandingStatus, PartitionLanding, SegmentEnd};
pub use layer::{BatchLayer, BatchParts};
pub use leader::leader;
pub use recompute::{FoldProgress, Phase, RunError, RunOutcome};
pub use schedule::{Schedule, ScheduleError};
pub use upkeep::{RollbackError, collect_garbage};
