//! Ingestion: records from sources into the log, and decoded records from the log to both layers.

pub mod append;
pub mod dead_letters;
pub mod decoded_log;
pub mod formats;
pub mod landed_records;
pub mod log;
pub mod redecode;
pub mod stream_info;
