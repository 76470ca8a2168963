//! The pipelines' answers, over both interfaces and whichever layer they come from.

pub(crate) mod case;
mod input;
pub(crate) mod interfaces;
mod law;
mod pipelines;
