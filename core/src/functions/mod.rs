//! SQL functions beyond DataFusion's, and the guards around those it has.

pub mod aggregates;
pub mod guard;
