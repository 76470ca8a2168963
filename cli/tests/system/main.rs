//! The whole system, over its HTTP interface.

mod answers;
mod crash;
mod faults;
mod independence;
mod running;
mod slt;
mod support;
