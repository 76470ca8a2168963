//! The purpose of folding: the speed layer's, or that of a job. The fold is the same; the help that a stopped one needs
//! is not.

use dovetail_core::offsets::OffsetRange;

/// The work that a partition is folded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The realtime part of merged views: a batch run makes room and moves past lost records.
    Realtime,
    /// A job: nothing else holds its states.
    Job,
}

impl Purpose {
    /// The cause of a stop at `head`, whose record the log no longer has.
    pub(crate) fn lost(self, head: i64, log: OffsetRange) -> String {
        match self {
            Self::Realtime => {
                format!("offset {head} is gone, the log starts at {}: a batch run moves past it", log.start)
            }
            Self::Job => {
                let gone = log.start - head;
                format!(
                    "{gone} records are gone: the job is at offset {head}, the log starts at {}; start another job \
                     with `--from earliest`, which goes without them, or keep the log for longer",
                    log.start
                )
            }
        }
    }

    /// The cause of a pause for lack of memory.
    pub(crate) fn no_room(self) -> &'static str {
        match self {
            Self::Realtime => "the speed layer is out of memory; a batch run makes room",
            Self::Job => "the job is at its memory limit and folds no further; raise `kappa.memory`",
        }
    }

    /// Bytes of states above which folding pauses. A realtime view has as much again while a batch run makes room.
    pub(crate) fn pause_above(self, limit: usize) -> usize {
        match self {
            Self::Realtime => limit.saturating_mul(2),
            Self::Job => limit,
        }
    }

    /// The counter of folded records.
    pub(crate) fn records_metric(self) -> &'static str {
        match self {
            Self::Realtime => "dovetail_speed_records_total",
            Self::Job => "dovetail_job_records_total",
        }
    }
}
