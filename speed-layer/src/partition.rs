//! The task of one partition: folds its records for every view of the stream and answers readers in between.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use dovetail_core::offsets::OffsetRange;
use dovetail_core::pipeline::OnBadRecord;
use dovetail_core::realtime::{RealtimeError, Slice};
use dovetail_core::view::{Folder, View};
use dovetail_ingestion::feed::{Feed, FeedError};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::target::Targets;
use crate::view_fold::ViewFold;

/// What a partition's task is told.
pub(crate) enum Message {
    Read(ReadRequest),
    /// A segment of the landing will end at this offset: a cut may fall there.
    Boundary(i64),
}

/// A reader's question: the slices of view number `view` from `floor`.
pub(crate) struct ReadRequest {
    pub(crate) view: usize,
    pub(crate) floor: i64,
    pub(crate) answer: oneshot::Sender<Result<(Vec<Slice>, i64), RealtimeError>>,
}

/// How a partition is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoldState {
    Folding,
    /// At the memory limit: waits for a batch run.
    Paused,
    /// The log cannot be read or decoded at the moment; tried again.
    Stalled(String),
    /// Will not go on by itself.
    Stopped(String),
}

/// What others may see of a partition without asking its task.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Lowest head of the views.
    pub(crate) head: AtomicI64,
    pub(crate) bytes: AtomicUsize,
    pub(crate) state: watch::Sender<FoldState>,
}

/// Settings and neighbours of a partition's task.
pub(crate) struct PartitionFold {
    pub(crate) feed: Arc<Feed>,
    pub(crate) partition: i32,
    pub(crate) inbox: mpsc::Receiver<Message>,
    pub(crate) targets: watch::Receiver<Targets>,
    pub(crate) shared: Arc<Shared>,
    /// Total of all partitions, and how much it may be before folding pauses.
    pub(crate) total_bytes: Arc<AtomicUsize>,
    pub(crate) pause_above: usize,
    pub(crate) seal_interval: Duration,
    pub(crate) shutdown: CancellationToken,
}

/// The loop's own state.
pub(crate) struct Views {
    folds: Vec<ViewFold>,
    sealed: Vec<Option<Instant>>,
}

const RETRY: Duration = Duration::from_millis(500);

impl Views {
    pub(crate) fn new(views: &[Arc<View>], partition: i32) -> Self {
        let folds = views.iter().map(|view| ViewFold::new(Arc::clone(view), partition)).collect();
        Self { folds, sealed: vec![None; views.len()] }
    }

    fn next_offset(&self) -> Option<i64> {
        self.folds.iter().filter_map(ViewFold::head).min()
    }

    fn bytes(&self) -> usize {
        self.folds.iter().map(ViewFold::bytes).sum()
    }
}

impl PartitionFold {
    /// Runs until shutdown.
    pub(crate) async fn run(mut self, mut views: Views) {
        let mut aimed = self.aim(&mut views).await;
        loop {
            let next = views.next_offset();
            let may_fold = aimed.is_ok() && !self.paused() && !self.stopped();
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                message = self.inbox.recv() => match message {
                    Some(Message::Read(request)) => self.answer(&mut views, request),
                    Some(Message::Boundary(end)) => self.expect(&mut views, end),
                    None => return,
                },
                changed = self.targets.changed() => match changed {
                    Ok(()) => aimed = self.aim(&mut views).await,
                    Err(_) => return,
                },
                () = tokio::time::sleep(RETRY), if !may_fold => {
                    if aimed.is_err() {
                        aimed = self.aim(&mut views).await;
                    }
                }
                ready = wait(&self.feed, self.partition, next), if may_fold => {
                    let folded = match ready {
                        Ok(()) => self.fold(&mut views, next).await,
                        Err(error) => Err(error),
                    };
                    if let Err(error) = folded {
                        self.set(error);
                        tokio::time::sleep(RETRY.min(Duration::from_millis(100))).await;
                    }
                }
            }
            self.publish_numbers(&views);
        }
    }

    async fn fold(&self, views: &mut Views, next: Option<i64>) -> Result<(), FoldState> {
        let Some(next) = next else { return Ok(()) };
        let decoded = self.feed.read(self.partition, next).await.map_err(from_feed)?;
        let stop = decoded.dead.first().filter(|_| self.feed.stream().options.on_bad_record == OnBadRecord::Stop);
        let decoded = match stop {
            Some(dead) => decoded.between(decoded.range.start, dead.offset),
            None => Arc::clone(&decoded),
        };
        for fold in &mut views.folds {
            fold.fold(&decoded).await.map_err(|e| FoldState::Stalled(e.strip_backtrace()))?;
        }
        match stop {
            Some(dead) => Err(FoldState::Stopped(format!("bad record at offset {}: {}", dead.offset, dead.error))),
            None => {
                self.set(FoldState::Folding);
                Ok(())
            }
        }
    }

    /// Takes over what the catalog says, folding slices again that the new cut falls into.
    async fn aim(&mut self, views: &mut Views) -> Result<(), ()> {
        let targets = self.targets.borrow_and_update().clone();
        let aimed = self.aim_at(views, &targets).await;
        aimed.map_err(|state| self.set(state))
    }

    async fn aim_at(&self, views: &mut Views, targets: &Targets) -> Result<(), FoldState> {
        let stream = self.feed.stream();
        let log = self.feed.log().bounds(&stream.topic, self.partition).await;
        let log = log.map_err(|error| FoldState::Stalled(error.to_string()))?;
        for fold in &mut views.folds {
            let Some(target) = targets.views.get(&fold.view.name) else { continue };
            let failed = |e: datafusion::error::DataFusionError| FoldState::Stalled(e.strip_backtrace());
            if let Some(range) = fold.aim(target.clone(), log.start).map_err(failed)? {
                let at = target.pinned(self.partition).into_iter().find(|&b| range.is_cut_by(b)).unwrap_or(range.start);
                let below = self.fold_again(&fold.view, OffsetRange::new(range.start, at)).await?;
                let above = self.fold_again(&fold.view, OffsetRange::new(at, range.end)).await?;
                fold.split_at_cut(below, above).map_err(failed)?;
            }
        }
        Ok(())
    }

    async fn fold_again(&self, view: &Arc<View>, range: OffsetRange) -> Result<Folder, FoldState> {
        let failed = |e: datafusion::error::DataFusionError| FoldState::Stalled(e.strip_backtrace());
        let mut folder = Folder::new(view).map_err(failed)?;
        let mut at = range.start;
        while at < range.end {
            let decoded = self.feed.read(self.partition, at).await.map_err(from_feed)?;
            if decoded.range.is_empty() {
                return Err(FoldState::Stalled(format!("the log ends at {at}, before {}", range.end)));
            }
            folder.fold(&decoded.between(at, range.end).rows).await.map_err(failed)?;
            at = decoded.range.end;
        }
        Ok(folder)
    }

    fn expect(&self, views: &mut Views, end: i64) {
        for fold in &mut views.folds {
            if let Err(error) = fold.expect(end) {
                self.set(FoldState::Stalled(error.strip_backtrace()));
            }
        }
    }

    fn answer(&self, views: &mut Views, request: ReadRequest) {
        let ReadRequest { view, floor, answer } = request;
        let fresh = views.sealed[view].is_some_and(|at| at.elapsed() < self.seal_interval);
        let fold = &mut views.folds[view];
        if !fresh {
            if let Err(error) = fold.seal() {
                self.set(FoldState::Stalled(error.strip_backtrace()));
            }
            views.sealed[view] = Some(Instant::now());
        }
        // The reader may have given up: then nobody misses the answer.
        let _ = answer.send(fold.read(floor));
    }

    fn paused(&self) -> bool {
        let paused = self.total_bytes.load(Ordering::Relaxed) > self.pause_above;
        if paused && !self.stopped() {
            self.set(FoldState::Paused);
        }
        paused
    }

    fn stopped(&self) -> bool {
        matches!(*self.shared.state.borrow(), FoldState::Stopped(_))
    }

    fn set(&self, state: FoldState) {
        self.shared.state.send_if_modified(|old| {
            let changed = *old != state;
            if changed && !matches!(state, FoldState::Folding) {
                tracing::warn!(
                    topic = self.feed.stream().topic, partition = self.partition, ?state, "partition is not folding"
                );
            }
            *old = state;
            changed
        });
    }

    fn publish_numbers(&self, views: &Views) {
        self.shared.head.store(views.next_offset().unwrap_or(0), Ordering::Relaxed);
        let bytes = views.bytes();
        let before = self.shared.bytes.swap(bytes, Ordering::Relaxed);
        if bytes >= before {
            self.total_bytes.fetch_add(bytes - before, Ordering::Relaxed);
        } else {
            self.total_bytes.fetch_sub(before - bytes, Ordering::Relaxed);
        }
    }
}

async fn wait(feed: &Feed, partition: i32, next: Option<i64>) -> Result<(), FoldState> {
    match next {
        Some(next) => feed.wait(partition, next).await.map_err(from_feed),
        None => std::future::pending().await,
    }
}

fn from_feed(error: FeedError) -> FoldState {
    use dovetail_ingestion::log::LogError;
    match error {
        FeedError::Log(LogError::Trimmed { .. }) | FeedError::Decode(_) => FoldState::Stopped(error.to_string()),
        FeedError::Log(_) => FoldState::Stalled(error.to_string()),
    }
}
