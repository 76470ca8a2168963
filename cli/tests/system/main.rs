//! The whole system, over its HTTP interface.

#![expect(clippy::unwrap_used, reason = "what cannot go on has failed")]

mod answers;
mod comparing;
mod crash;
mod faults;
mod independence;
mod real_input;
mod running;
mod slt;
mod support;
