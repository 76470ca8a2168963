//! The pipelines' answers, over both interfaces and whichever layer they come from.

mod input;
mod interfaces;
mod law;
mod oracle;
mod pipelines;
