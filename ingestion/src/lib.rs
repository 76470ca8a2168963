//! From sources into the log, and from the log, decoded, to both layers.

pub mod append;
pub mod dead;
pub mod decode;
pub mod feed;
pub mod generate;
pub mod landed;
pub mod log;
pub mod redecode;
pub mod source;
