//! A process: its backends, its layers, and the partitions that it owns.

pub mod backends;
pub mod engine;
pub mod membership;
pub mod plan;
pub mod roles;
pub mod running;
