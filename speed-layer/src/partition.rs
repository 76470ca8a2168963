//! The task of one partition: folds its records for every view of the stream and answers readers in between.
//!
//! It does one thing at a time, and nothing that takes longer than a batch of the decoded log: a reader waits for at
//! most one batch to be folded.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dovetail_core::assignment::LocalAssignment;
use dovetail_core::backoff::Backoff;
use dovetail_core::clock;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::pipeline::OnBadRecord;
use dovetail_core::realtime::{RealtimeError, Slice};
use dovetail_ingestion::decoded_log::{DecodedLog, DecodedLogError};
use dovetail_ingestion::formats::Decoded;
use dovetail_ingestion::log::LogError;
use futures::FutureExt;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use crate::desired_state::Targets;
use crate::purpose::Purpose;
use crate::status::{FoldState, SharedStatus};
use crate::view_fold::Subscriber;
use crate::views::Views;

/// A message to a partition's task.
pub(crate) enum PartitionMessage {
    Read(ReadRequest),
    /// A segment of the landing will end at this offset: a cut may fall there.
    Boundary(i64),
    /// A reader of view number `view` has merged everything below `at`.
    Keep {
        view: usize,
        at: i64,
    },
}

/// A request for the slices of view number `view` from `start`.
pub(crate) struct ReadRequest {
    pub(crate) view: usize,
    pub(crate) start: i64,
    /// The reader that will ask for the slices after this answer.
    pub(crate) subscriber: Option<Arc<Subscriber>>,
    pub(crate) answer: oneshot::Sender<ReadAnswer>,
}

/// The answer; `None` when the partition is not assigned to this layer.
pub(crate) type ReadAnswer = Option<Result<ViewRead, RealtimeError>>;

/// The slices of one view in one partition.
#[derive(Debug)]
pub(crate) struct ViewRead {
    pub(crate) slices: Vec<Slice>,
    pub(crate) head: i64,
    /// Offsets of present and expected cuts.
    pub(crate) cuts: BTreeSet<i64>,
}

/// Settings and neighbours of a partition's task.
pub(crate) struct PartitionFold {
    pub(crate) decoded_log: Arc<DecodedLog>,
    pub(crate) partition: i32,
    pub(crate) views: Views,
    pub(crate) mailbox: mpsc::Receiver<PartitionMessage>,
    pub(crate) targets: watch::Receiver<Targets>,
    pub(crate) assignment: LocalAssignment,
    pub(crate) shared: Arc<SharedStatus>,
    /// Bytes of all partitions, and the limit above which folding pauses.
    pub(crate) total_bytes: Arc<AtomicUsize>,
    pub(crate) pause_above: usize,
    pub(crate) purpose: Purpose,
    pub(crate) seal_interval: Duration,
    pub(crate) shutdown: CancellationToken,
}

/// The loop's own state.
struct LoopState {
    /// Whether the views have applied the current desired state.
    aimed: bool,
    /// The reason why nothing of this partition is folded: only another desired state changes that.
    stopped: Option<String>,
    /// The last failure that was not followed by a success.
    stalled: Option<String>,
    /// Time of the next attempt; nothing is folded until then.
    retry_at: Option<Instant>,
    backoff: Backoff,
    /// Time at which each view was sealed for a reader.
    sealed: Vec<Option<Instant>>,
    /// Whether the last step folded again: the next one folds new records, if there are any.
    again: bool,
}

/// The next step.
#[derive(Debug, Clone, Copy)]
enum NextStep {
    Fold(i64),
    Again(i64),
}

/// Time for the log to show that it is well.
const LOG_TIMEOUT: Duration = Duration::from_millis(500);
/// Pauses between attempts after a failure in folding.
const FOLD_RETRY_FIRST: Duration = Duration::from_millis(20);
const FOLD_RETRY_MAX: Duration = Duration::from_secs(5);
/// Interval at which a paused partition checks whether it may go on.
const PAUSED_POLL_INTERVAL: Duration = Duration::from_millis(100);

impl PartitionFold {
    /// Runs until shutdown.
    pub(crate) async fn run(mut self) {
        let mut state = LoopState {
            aimed: false,
            stopped: None,
            stalled: None,
            retry_at: None,
            backoff: Backoff::new(FOLD_RETRY_FIRST, FOLD_RETRY_MAX),
            sealed: vec![None; self.views.folds.len()],
            again: false,
        };
        self.apply(&mut state).await;
        loop {
            // Messages that came during a step go first, and no others: neither side can starve the other.
            for _ in 0..self.mailbox.len() {
                if let Ok(message) = self.mailbox.try_recv() {
                    self.handle(&mut state, message);
                }
            }
            // The readers have their answers: merging slices delays none of them.
            self.views.tidy();
            let paused = self.paused();
            self.show(&state, paused);
            let wake = state.retry_at.or_else(|| paused.then(|| clock::now_monotonic() + PAUSED_POLL_INTERVAL));
            let (fold, again) = self.open_steps(&state, paused);
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                changed = self.targets.changed() => match changed {
                    Ok(()) => self.apply(&mut state).await,
                    Err(_) => return,
                },
                () = self.assignment.changed() => self.apply(&mut state).await,
                step = next_step(&self.decoded_log, self.partition, fold, again, state.again) => {
                    let done = match step {
                        Ok(step) => self.step(&mut state, step).await,
                        Err(error) => Err(error),
                    };
                    self.note(&mut state, done).await;
                }
                message = self.mailbox.recv() => match message {
                    Some(message) => self.handle(&mut state, message),
                    None => return,
                },
                () = reached(wake) => self.try_again(&mut state).await,
            }
        }
    }

    /// The offsets at which it may fold, and fold again.
    fn open_steps(&self, state: &LoopState, paused: bool) -> (Option<i64>, Option<i64>) {
        if !state.aimed || state.retry_at.is_some() {
            return (None, None);
        }
        let fold = self.views.next().filter(|_| !paused && state.stopped.is_none());
        (fold, self.views.next_again())
    }

    async fn step(&mut self, state: &mut LoopState, step: NextStep) -> Result<(), DecodedLogError> {
        match step {
            NextStep::Fold(next) => {
                state.again = false;
                let decoded = self.decoded_log.read(self.partition, next).await?;
                self.fold(state, &decoded).await;
                self.count(self.purpose.records_metric(), &decoded, next, self.views.next());
                self.report_dead(&decoded, next);
                if decoded.range.is_empty() {
                    // The log's end moved and yet there is no record: not to be asked again at once.
                    state.retry_later("the log has nothing at its end yet".to_owned());
                }
            }
            NextStep::Again(next) => {
                state.again = true;
                let end = self.views.again_end();
                let decoded = self.decoded_log.read(self.partition, next).await?;
                if decoded.range.is_empty() {
                    state.retry_later(format!("the log ends at {next}, before a slice that was folded"));
                }
                self.views.fold_again(&decoded).await;
                self.count("dovetail_speed_refolded_records_total", &decoded, next, self.views.next_again().or(end));
            }
        }
        Ok(())
    }

    async fn fold(&mut self, state: &mut LoopState, decoded: &Arc<Decoded>) {
        let stops = self.decoded_log.stream().options.on_bad_record == OnBadRecord::Stop;
        match decoded.dead.first().filter(|_| stops) {
            Some(bad) => {
                self.views.fold(&decoded.between(decoded.range.start, bad.offset)).await;
                // A view whose cut is past the bad record goes on without it.
                if self.views.next().is_some_and(|next| next <= bad.offset) {
                    state.stopped = Some(format!("bad record at offset {}: {}", bad.offset, bad.reason()));
                }
            }
            None => self.views.fold(decoded).await,
        }
    }

    /// Counts the records of a job that do not decode, and logs the first of a batch: nothing lands them.
    fn report_dead(&self, decoded: &Decoded, from: i64) {
        let mut dead = decoded.dead.iter().filter(|record| record.offset >= from);
        let Some(first) = dead.next().filter(|_| self.purpose == Purpose::Job) else { return };
        let stream = self.decoded_log.stream();
        let count = 1 + dead.count() as u64;
        metrics::counter!("dovetail_job_dead_letters_total", "stream" => stream.name.to_string()).increment(count);
        let (topic, partition, offset) = (&stream.topic, self.partition, first.offset);
        tracing::warn!(topic, partition, offset, count, reason = %first.reason(), "records do not decode; the job leaves them out");
    }

    fn count(&self, counter: &'static str, decoded: &Arc<Decoded>, from: i64, to: Option<i64>) {
        let folded = decoded.between(from, to.unwrap_or(decoded.range.end));
        let records = folded.rows.num_rows() + folded.dead.len();
        metrics::counter!(counter, "stream" => self.decoded_log.stream().name.to_string()).increment(records as u64);
    }

    /// Records the result of a step.
    async fn note(&mut self, state: &mut LoopState, done: Result<(), DecodedLogError>) {
        match done {
            Ok(()) if state.retry_at.is_none() => state.go_on(),
            Ok(()) => {}
            Err(DecodedLogError::Log(LogError::Trimmed { first, .. })) => {
                match bounds(&self.decoded_log, self.partition).await {
                    Ok(log) => self.views.trimmed(first.max(log.start), log),
                    Err(error) => state.retry_later(error.to_string()),
                }
            }
            Err(DecodedLogError::Log(error @ LogError::PastEnd { .. })) => state.stopped = Some(error.to_string()),
            Err(DecodedLogError::Decode(error)) => state.stopped = Some(error.to_string()),
            Err(DecodedLogError::Log(error)) => state.retry_later(error.to_string()),
        }
    }

    /// Applies the desired state.
    async fn apply(&mut self, state: &mut LoopState) {
        let targets = self.targets.borrow_and_update().clone();
        if !self.assignment.look() {
            return self.leave(state);
        }
        let log = match self.views.starts_anew(&targets) {
            true => bounds(&self.decoded_log, self.partition).await,
            false => Ok(OffsetRange::new(0, i64::MAX)),
        };
        match log {
            Ok(log) => {
                self.views.apply(&targets, log);
                state.aimed = true;
                state.stopped = None;
                state.go_on();
            }
            Err(error) => {
                state.aimed = false;
                state.retry_later(error.to_string());
            }
        }
    }

    /// The partition is assigned to another process: its states are dropped, and nothing more is folded.
    fn leave(&mut self, state: &mut LoopState) {
        self.views.leave();
        state.aimed = false;
        state.stopped = None;
        state.go_on();
    }

    /// Repeats a failed step when its time has come.
    async fn try_again(&mut self, state: &mut LoopState) {
        state.retry_at = None;
        if !state.aimed {
            return self.apply(state).await;
        }
        if state.stalled.is_none() {
            return;
        }
        // At the log's end there is no record whose success would show that the log is well again. Readers must not
        // wait for a log that is away.
        match timeout(LOG_TIMEOUT, bounds(&self.decoded_log, self.partition)).await {
            Ok(Ok(log)) if self.views.next() == Some(log.end) => state.go_on(),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => state.retry_later(error.to_string()),
            Err(_) => state.retry_later("the log does not answer".to_owned()),
        }
    }

    fn handle(&mut self, state: &mut LoopState, message: PartitionMessage) {
        match message {
            PartitionMessage::Read(request) => self.answer(state, request),
            PartitionMessage::Boundary(end) => self.views.expect(end),
            PartitionMessage::Keep { view, at } => self.views.folds[view].keep(at),
        }
    }

    fn answer(&mut self, state: &mut LoopState, request: ReadRequest) {
        let ReadRequest { view, start, subscriber, answer } = request;
        if !self.assignment.here() {
            let _ = answer.send(None);
            return;
        }
        let fold = &mut self.views.folds[view];
        if state.sealed[view].is_none_or(|at| at.elapsed() >= self.seal_interval) {
            fold.seal();
            state.sealed[view] = Some(clock::now_monotonic());
        }
        // The reader may have gone: then nobody misses the answer.
        let read = fold.read(start).map(|(slices, head)| {
            subscriber.iter().for_each(|subscriber| fold.subscribe(subscriber));
            ViewRead { slices, head, cuts: fold.cuts() }
        });
        let _ = answer.send(Some(read));
    }

    /// Whether there is no memory left to fold into. Readers of the previous generation lose their slices first.
    fn paused(&mut self) -> bool {
        let full = |total: &AtomicUsize, most| total.load(Ordering::Relaxed) > most;
        if !full(&self.total_bytes, self.pause_above) {
            return false;
        }
        self.views.retire_previous();
        self.count_bytes();
        full(&self.total_bytes, self.pause_above)
    }

    fn count_bytes(&self) {
        let bytes = self.views.bytes();
        let before = self.shared.bytes.swap(bytes, Ordering::Relaxed);
        if bytes >= before {
            self.total_bytes.fetch_add(bytes - before, Ordering::Relaxed);
        } else {
            self.total_bytes.fetch_sub(before - bytes, Ordering::Relaxed);
        }
    }

    fn show(&self, state: &LoopState, paused: bool) {
        self.count_bytes();
        self.views.show(&self.shared);
        self.shared.set_owned(self.assignment.here());
        let stopped = state.stopped.clone().map(|why| FoldState::Stopped { view: None, why });
        let stalled = state.stalled.clone().map(FoldState::Stalled);
        let paused = paused.then_some(FoldState::Paused);
        // Causes that stop every view come before those that stop one.
        let now = stopped.or(stalled).or(paused).or_else(|| self.views.stopped()).unwrap_or(FoldState::Folding);
        self.shared.state.send_if_modified(|old| {
            if *old == now {
                return false;
            }
            let (topic, partition) = (&self.decoded_log.stream().topic, self.partition);
            match &now {
                FoldState::Folding => tracing::info!(topic, partition, "partition is folding"),
                other => tracing::warn!(topic, partition, state = ?other, "partition is not folding"),
            }
            *old = now;
            true
        });
    }
}

impl LoopState {
    fn retry_later(&mut self, why: String) {
        self.retry_at = Some(clock::now_monotonic() + self.backoff.next_pause());
        self.stalled = Some(why);
    }

    fn go_on(&mut self) {
        (self.stalled, self.retry_at) = (None, None);
        self.backoff.reset();
    }
}

async fn bounds(decoded_log: &DecodedLog, partition: i32) -> Result<OffsetRange, LogError> {
    decoded_log.log().bounds(&decoded_log.stream().topic, partition).await
}

/// Waits until there is something to fold, new or again. With both, they take turns. Cancel-safe.
async fn next_step(
    decoded_log: &DecodedLog,
    partition: i32,
    fold: Option<i64>,
    again: Option<i64>,
    was_again: bool,
) -> Result<NextStep, DecodedLogError> {
    let ready = async {
        match fold {
            Some(next) => decoded_log.wait(partition, next).await.map(|()| NextStep::Fold(next)),
            None => std::future::pending().await,
        }
    };
    match again {
        None => ready.await,
        Some(next) if !was_again => Ok(NextStep::Again(next)),
        Some(next) => ready.now_or_never().unwrap_or(Ok(NextStep::Again(next))),
    }
}

/// Waits until the time; for ever without one.
async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => clock::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
