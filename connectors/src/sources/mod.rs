//! Sources of records.

pub mod file;
pub mod generate;
