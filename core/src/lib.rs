//! The parts that Dovetail's layers share: the terms of the design as types, and the functions fold, merge and finish.
//!
//! `fold: rows -> state`, `merge: [state] -> state` and `finish: [state] -> answer` are in [`view`]; views are declared
//! in a [`pipeline`]; [`offsets`] say which rows a state covers; the [`catalog`], the [`store`] and its [`manifest`]s
//! record the published generations.

#![deny(missing_docs)]

pub mod assignment;
pub mod background;
pub mod backoff;
pub mod catalog;
pub mod catch_panic;
pub mod clock;
pub mod encode;
pub mod error_chain;
pub mod functions;
pub mod ledger;
pub mod manifest;
pub mod meet;
pub mod name;
pub mod offsets;
pub mod pipeline;
pub mod realtime;
pub mod realtime_wire;
pub mod record;
pub mod row_states;
pub mod slices;
pub mod sql;
pub mod state_file;
pub mod store;
pub mod stored;
pub mod texts;
pub mod view;
pub mod view_error_file;

pub use datafusion::DATAFUSION_VERSION;
