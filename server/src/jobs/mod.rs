//! Works that are asked for and take a while.

pub(crate) mod replay;
pub mod verify;
