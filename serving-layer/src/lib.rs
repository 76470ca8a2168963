//! The serving layer: snapshots of batch and realtime views behind SQL.
//!
//! ```text
//! postgres ─┐                                  ┌─ states    batch states, decoded once
//! http     ─┴─► query ─► schema ─► provider ─► leaf ─► base │ merged ahead
//!                         │ sys, raw            └─ snapshot: one generation, realtime slices that meet it
//! ```
//! Read-only in every part: statements are checked ([`sql`]), plans are checked, and the catalog that queries see
//! takes nothing in ([`schema`]).

mod base;
mod cache;
mod compat;
mod config;
mod control;
mod drift;
mod error;
mod fetch;
mod frames;
mod functions;
mod http;
mod leaf;
mod lookups;
mod memory;
mod parameters;
mod pg_catalog;
mod position;
mod postgres;
mod provider;
mod query;
mod raw;
mod remote;
mod schema;
mod served;
mod serving;
mod session;
mod snapshot;
mod sql;
mod states;
mod sys;
#[cfg(test)]
mod tests;
mod threads;
mod watch;

pub use config::{Landing, LandingAt, ServingConfig, ServingParts};
pub use error::{QueryError, Reason};
pub use http::{Code, Failed, errors_in_shape, nested_as_json, router};
pub use memory::Pool;
pub use position::Position;
pub use postgres::serve_postgres;
pub use query::{Answer, Batches};
pub use remote::{Member, RemoteConfig, RemoteParts, RemoteRealtime};
pub use serving::Serving;
pub use snapshot::AsOf;
