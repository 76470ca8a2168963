//! How much is measured: the quick form measures less.

use std::time::Duration;

use super::server::Setting;

/// Numbers and times of a comparison.
#[derive(Debug, Clone)]
pub(super) struct RunScale {
    /// Timed answers of each kind of query, in each run.
    pub(super) answers: usize,
    /// Records that are waited for, in each situation of each run.
    pub(super) probes: usize,
    /// Kills in each run.
    pub(super) kills: usize,
    /// Time of records coming in before and after a kill.
    pub(super) feed: Duration,
    /// Time of half load.
    pub(super) load: Duration,
    /// Interval of checkpoints and of scheduled batch runs.
    pub(super) checkpoint_every: Duration,
    /// Runs for which the lengths of history are measured: that takes the longest.
    pub(super) lengths_in_runs: usize,
}

impl RunScale {
    pub(super) fn new(is_quick: bool) -> Self {
        let seconds = Duration::from_secs;
        match is_quick {
            true => Self {
                answers: 100,
                probes: 15,
                kills: 1,
                feed: seconds(3),
                load: seconds(2),
                checkpoint_every: seconds(1),
                lengths_in_runs: 1,
            },
            false => Self {
                answers: 300,
                probes: 50,
                kills: 2,
                feed: seconds(8),
                load: seconds(5),
                checkpoint_every: seconds(2),
                lengths_in_runs: 2,
            },
        }
    }

    /// Settings where batch runs are made on request alone.
    pub(super) fn settings(&self) -> Vec<Setting> {
        vec![
            ("DOVETAIL_BATCH_SCHEDULE", "never".to_owned()),
            ("DOVETAIL_LANDING_SEGMENT_AGE", "500ms".to_owned()),
            ("DOVETAIL_KAPPA_CHECKPOINT_EVERY", self.interval()),
        ]
    }

    /// Settings for crashes: batch runs are made as often as checkpoints.
    pub(super) fn settings_of_crashes(&self) -> Vec<Setting> {
        let mut settings = self.settings();
        settings[0].1 = format!("every {}", self.interval());
        settings
    }

    /// Settings for what is kept: what is not needed any more is removed soon.
    pub(super) fn settings_of_keeping(&self) -> Vec<Setting> {
        let mut settings = self.settings();
        settings.push(("DOVETAIL_BATCH_UPKEEP_EVERY", "500ms".to_owned()));
        settings.push(("DOVETAIL_BATCH_GARBAGE_GRACE", "0s".to_owned()));
        settings[1].1 = "200ms".to_owned();
        settings[2].1 = "500ms".to_owned();
        settings
    }

    /// The interval as a setting is written.
    pub(super) fn interval(&self) -> String {
        humantime::format_duration(self.checkpoint_every).to_string()
    }
}
