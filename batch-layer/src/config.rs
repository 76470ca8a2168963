//! What the batch layer is told; defaults and files are the command line's.

use std::time::Duration;

use crate::schedule::Schedule;

/// Which parts of the batch layer a process runs, and how.
#[derive(Debug, Clone)]
pub struct BatchConfig {
    /// `None`: this process lands nothing.
    pub landing: Option<LandingConfig>,
    /// `None`: this process recomputes, retires and compacts nothing.
    pub runs: Option<RunConfig>,
}

#[derive(Debug, Clone)]
pub struct LandingConfig {
    /// A segment is closed once it holds this much payload (keys and values) ..
    pub segment_bytes: usize,
    /// .. or once its first record is this old.
    pub segment_age: Duration,
    /// Pause after the first failure of a partition; it doubles up to the longest.
    pub first_pause: Duration,
    pub longest_pause: Duration,
    /// How long a stopping process may take to land what is buffered; what is not landed is read again.
    pub stop_grace: Duration,
}

#[derive(Debug, Clone)]
pub struct RunConfig {
    /// When incremental runs start.
    pub incremental: Option<Schedule>,
    /// When full runs start.
    pub full: Option<Schedule>,
    /// Tasks that fold at the same time.
    pub cores: usize,
    /// Who leads or holds a run, for messages too: no other process's, now or ever.
    pub owner: String,
    /// How long a run counts as living without a sign of it.
    pub lease: Duration,
    /// How long a leader counts as living without a sign of it.
    pub leader_lease: Duration,
    /// How many of the newest generations are kept for rollback and `AS OF`.
    pub keep_generations: usize,
    /// How long an object that nothing refers to is kept for those who may still read it.
    pub garbage_grace: Duration,
    /// How long whoever announced an object may take to put and record it, before the object counts as abandoned. A
    /// writer that takes longer loses nothing, but writes it again.
    pub staging_limit: Duration,
    /// Adjacent segments are merged up to so many bytes of Parquet; 0 merges none.
    pub compact_to_bytes: u64,
    /// How often old generations, small segments and garbage are looked after.
    pub upkeep_every: Duration,
}
