//! From sources into the log, and from the log, decoded, to both layers.

pub mod append;
pub mod decode;
pub mod feed;
pub mod frames;
pub mod generate;
pub mod log;
pub mod source;
