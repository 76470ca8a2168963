//! Connectors: sources of records and, in time, sinks of answers. Each source has a folder of its own in [`sources`].

#![warn(missing_docs)]

pub mod sources;
