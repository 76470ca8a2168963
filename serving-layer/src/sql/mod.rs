//! SQL over snapshots: the tables of a query, its planning and running, and its end.
//!
//! ```text
//! statement (checked) ─► query ─► session ─► schemas ─► view_table ─► view_scan ─► snapshot
//!                                              └─ sys, raw, pg_catalog, lookups
//! ```
//! Nothing here knows of PostgreSQL's wire or of HTTP.

pub(crate) mod batches;
pub(crate) mod catalog_queries;
pub(crate) mod control;
pub(crate) mod fetch;
pub(crate) mod lookups;
pub(crate) mod parameters;
pub(crate) mod pg_catalog;
pub(crate) mod pg_functions;
pub(crate) mod query;
pub(crate) mod query_clock;
pub(crate) mod query_work;
pub(crate) mod raw;
pub(crate) mod recounted;
pub(crate) mod schemas;
pub(crate) mod session;
pub(crate) mod settings;
pub(crate) mod statement;
pub(crate) mod sys;
pub(crate) mod tables;
pub(crate) mod template;
pub(crate) mod threads;
pub(crate) mod turn;
pub(crate) mod view_scan;
pub(crate) mod view_table;
pub(crate) mod watch;
pub(crate) mod window_frames;
