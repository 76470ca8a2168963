//! Starting a process: what it needs, which layers it runs, and which partitions are its own.

pub mod backends;
pub mod engine;
pub mod membership;
pub mod plan;
pub mod roles;
pub mod running;
