//! Jobs: work on request that takes a while.

pub(crate) mod folding;
pub mod progress;
pub(crate) mod replay;
pub mod verify;
