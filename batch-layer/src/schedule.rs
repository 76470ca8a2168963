//! When runs start by themselves: a cron expression or an interval.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use dovetail_core::catalog::{RunKind, Trigger};
use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::recompute::Request;
use crate::runner::Command;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// Six fields, seconds first, in UTC.
    Cron(String),
    Every(Duration),
}

#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    #[error(
        "`{text}` is no schedule: write `every 30s`, or a cron expression of six fields such as `0 */5 * * * *` (seconds first, UTC)"
    )]
    Unreadable { text: String },
    #[error("the scheduler failed")]
    Scheduler(#[from] JobSchedulerError),
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    /// `every 30s` or `0 */5 * * * *`.
    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let unreadable = || ScheduleError::Unreadable { text: text.to_owned() };
        if let Some(interval) = text.trim().strip_prefix("every ") {
            let interval = humantime::parse_duration(interval.trim()).map_err(|_| unreadable())?;
            return if interval >= Duration::from_secs(1) { Ok(Self::Every(interval)) } else { Err(unreadable()) };
        }
        let cron = text.trim().to_owned();
        // The scheduler's own parser says what it takes.
        Job::new(cron.as_str(), |_, _| ()).map_err(|_| unreadable())?;
        Ok(Self::Cron(cron))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cron(cron) => f.write_str(cron),
            Self::Every(interval) => write!(f, "every {}", humantime::format_duration(*interval)),
        }
    }
}

/// Starts a scheduler that asks for runs. A run that is due while others wait is left out.
pub(crate) async fn start(
    schedules: [(RunKind, Option<&Schedule>); 2],
    commands: &mpsc::Sender<Command>,
) -> Result<JobScheduler, ScheduleError> {
    let scheduler = JobScheduler::new().await?;
    for (kind, schedule) in schedules {
        let Some(schedule) = schedule else { continue };
        scheduler.add(job(kind, schedule, commands.clone())?).await?;
    }
    scheduler.start().await?;
    Ok(scheduler)
}

fn job(kind: RunKind, schedule: &Schedule, commands: mpsc::Sender<Command>) -> Result<Job, JobSchedulerError> {
    let ask = move |_, _| {
        let request = Request { kind, views: None, trigger: Trigger::Schedule };
        // A full queue holds a run that will cover this one.
        let _ = commands.try_send(Command::Start(request));
    };
    match schedule {
        Schedule::Cron(cron) => Job::new(cron.as_str(), ask),
        Schedule::Every(interval) => Job::new_repeated(*interval, ask),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_intervals_or_cron_expressions() {
        assert_eq!("every 30s".parse::<Schedule>().unwrap(), Schedule::Every(Duration::from_secs(30)));
        assert_eq!("0 */5 * * * *".parse::<Schedule>().unwrap().to_string(), "0 */5 * * * *");
        for wrong in ["", "every", "every 30", "every 10ms", "*/5 * * * *", "0 0 25 * * *", "hourly"] {
            let error = wrong.parse::<Schedule>().unwrap_err();
            assert!(error.to_string().contains("is no schedule"), "{wrong}: {error}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_schedule_asks_for_runs() {
        let (commands, mut asked) = mpsc::channel(4);
        let every_second = Schedule::Cron("* * * * * *".to_owned());
        let every = Schedule::Every(Duration::from_secs(1));
        let schedules = [(RunKind::Incremental, Some(&every)), (RunKind::Full, Some(&every_second))];
        let mut scheduler = start(schedules, &commands).await.unwrap();
        let (mut full, mut incremental) = (false, false);
        while !(full && incremental) {
            let Some(Command::Start(request)) = asked.recv().await else { panic!("nobody waits for it") };
            assert_eq!(request.trigger, Trigger::Schedule);
            full |= request.kind == RunKind::Full;
            incremental |= request.kind == RunKind::Incremental;
        }
        scheduler.shutdown().await.unwrap();
    }
}
