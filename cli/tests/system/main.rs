//! The whole system, over its HTTP interface.

#![expect(clippy::disallowed_methods, reason = "tests wait in real time")]
#![expect(clippy::unwrap_used, reason = "what cannot go on has failed")]

mod answers;
mod commands;
mod crash;
mod edges;
mod faults;
mod file_kinds;
mod foldable;
mod functions;
mod headers;
mod independence;
mod kafka;
mod kappa;
mod numbers;
mod processes;
mod real_input;
mod refusals;
mod schemas;
mod slt;
mod support;
mod topics;
mod verifying;
mod view_errors;
