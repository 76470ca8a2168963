//! Connectors: sources of records and, in time, sinks of answers. Each source has a folder of its own in [`sources`].

#![deny(missing_docs)]

pub mod sources;
