//! Settings of the batch layer. Defaults and files are in `server/src/config`.

use std::time::Duration;

use crate::schedule::Schedule;

/// The parts of the batch layer that a process runs, and their settings.
#[derive(Debug, Clone)]
pub struct BatchConfig {
    /// Settings of landing; `None` when this process lands nothing.
    pub landing: Option<LandingConfig>,
    /// Settings of runs; `None` when this process recomputes, retires and compacts nothing.
    pub runs: Option<RunConfig>,
}

/// Settings of landing.
#[derive(Debug, Clone)]
pub struct LandingConfig {
    /// Payload (keys and values) in bytes at which a segment is closed ..
    pub segment_bytes: usize,
    /// .. or the age of its first record at which it is closed.
    pub segment_age: Duration,
    /// Pause after the first failure of a partition; it doubles up to the longest.
    pub first_pause: Duration,
    /// Longest pause between attempts of a partition.
    pub longest_pause: Duration,
    /// Time in which a stopping process may land its buffers; the next process reads the other records again.
    pub stop_grace: Duration,
}

/// Settings of runs.
#[derive(Debug, Clone)]
pub struct RunConfig {
    /// Schedule of incremental runs; `None` for none.
    pub incremental: Option<Schedule>,
    /// Schedule of full runs; `None` for none.
    pub full: Option<Schedule>,
    /// Number of tasks that fold at the same time.
    pub cores: usize,
    /// Name of this process as leader and as owner of runs, unique for ever; also for messages.
    pub owner: String,
    /// Time for which a run counts as live without a renewal.
    pub lease: Duration,
    /// Time for which a leader counts as live without a renewal.
    pub leader_lease: Duration,
    /// Number of the newest generations that are kept for rollback and for queries that name a generation.
    pub keep_generations: usize,
    /// Time for which an object that nothing names is kept for readers that may still use it.
    pub garbage_grace: Duration,
    /// Time in which a writer has to put and record a staged object, before the object counts as abandoned. A slower
    /// writer loses nothing, but writes it again.
    pub staging_limit: Duration,
    /// Greatest size in bytes of a Parquet file merged from adjacent segments; 0 merges none.
    pub compact_to_bytes: u64,
    /// Interval of upkeep: retiring old generations, compacting small segments, deleting garbage.
    pub upkeep_every: Duration,
}
