//! Where records come from and, in time, where answers go. Each source has a folder of its own in [`sources`].

#![warn(missing_docs)]

pub mod sources;
