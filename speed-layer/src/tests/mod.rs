//! The layer on the embedded log and a catalog in a file, with generations published by hand.

#![expect(clippy::disallowed_methods, reason = "tests wait in real time")]

mod assignment;
mod folding;
mod memory;
mod property;
mod publishing;
mod rig;
mod trouble;
mod view_fold;
