//! Logs: what any of them does, and what is made of one that fails, stalls and grows.

#![expect(clippy::unwrap_used, reason = "what cannot go on has failed")]

mod append;
mod conformance;
mod decoded_log;
