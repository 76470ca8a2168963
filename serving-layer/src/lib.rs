//! The serving layer: snapshots of batch and realtime views behind SQL.
//!
//! ```text
//! postgres ─┐                                     ┌─ batch states, decoded once
//! http     ─┴─► query ─► schemas ─► view_table ─► view_scan ─► merged copies
//!                         │ sys, raw              └─ snapshot: one generation, realtime slices that meet it
//! ```
//! Read-only in every part: statements are checked (`sql`), plans are checked, and the catalog that queries see
//! accepts no writes (`sql::schemas`).

mod config;
mod error;
mod http;
mod job_status;
mod landing_status;
mod memory;
mod position;
mod postgres;
mod serving;
mod snapshot;
mod sql;
#[cfg(test)]
mod tests;

pub use config::{JobToServe, ServingConfig, ServingParts};
pub use error::{QueryError, Reason};
pub use http::{Code, Failed, errors_in_shape, nested_as_json, router};
pub use job_status::{JobReport, JobStatus};
pub use landing_status::{LandingAt, LandingReport};
pub use memory::Pool;
pub use position::SqlPosition;
pub use postgres::serve_postgres;
pub use serving::Serving;
pub use snapshot::AsOf;
pub use snapshot::remote::{RemoteConfig, RemoteParts, RemoteRealtime, SpeedMember};
pub use sql::batches::Batches;
pub use sql::query::Answer;
pub use sql::sys::JobRow;
