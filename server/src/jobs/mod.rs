//! Jobs: work on request that takes a while. Each has one file with the same functions.
//!
//! | job | `start` returns | `progress` | cancelled by |
//! |---|---|---|---|
//! | `recompute` | the result of the run | in the catalog: any process answers | `cancel`, in the catalog |
//! | [`kappa`] | the job, which goes on until it is stopped | measured in the process that runs it | `stop`, in the catalog |
//! | [`verify`] | a verdict for each view | [`verify::VerifyTracker`], in this process | dropping the future of `start` |
//!
//! A replay, which folds all records again, is a part of verification.

pub(crate) mod folding;
pub mod kappa;
pub(crate) mod recompute;
pub mod verify;
