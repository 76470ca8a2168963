//! The layer: a task per partition, one that follows the catalog, and the door for readers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use async_trait::async_trait;
use dovetail_core::catalog::{Catalog, CatalogError};
use dovetail_core::name::{StreamName, ViewName};
use dovetail_core::offsets::{Cut, Offsets};
use dovetail_core::realtime::{Realtime, RealtimeError, RealtimeView};
use dovetail_core::view::View;
use dovetail_ingestion::feed::Feed;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::SpeedConfig;
use crate::partition::{FoldState, Message, PartitionFold, ReadRequest, Shared, Views};
use crate::target::{self, Targets};

/// What the layer is made of.
#[derive(Debug)]
pub struct SpeedParts {
    pub views: Vec<Arc<View>>,
    /// A feed for every stream that a view reads.
    pub feeds: HashMap<StreamName, Arc<Feed>>,
    pub catalog: Catalog,
    pub config: SpeedConfig,
}

/// How one partition of one stream is doing.
#[derive(Debug, Clone)]
pub struct PartitionStatus {
    pub stream: StreamName,
    pub partition: i32,
    /// Next offset to fold.
    pub head: i64,
    /// Bytes of states.
    pub bytes: usize,
    pub state: FoldState,
}

/// The running layer.
#[derive(Debug)]
pub struct SpeedLayer {
    /// Per view: its stream and its number among the stream's views.
    views: HashMap<ViewName, (StreamName, usize)>,
    streams: HashMap<StreamName, Vec<Door>>,
    total_bytes: Arc<AtomicUsize>,
    pressure: Arc<Notify>,
}

/// How to reach a partition's task.
#[derive(Debug)]
struct Door {
    inbox: mpsc::Sender<Message>,
    shared: Arc<Shared>,
}

/// Messages that may wait for one partition at a time.
const WAITING: usize = 256;

impl SpeedLayer {
    /// Starts folding at the cuts of the current generation.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn start(
        parts: SpeedParts,
        tracker: &TaskTracker,
        shutdown: &CancellationToken,
    ) -> Result<Arc<Self>, CatalogError> {
        let SpeedParts { views, feeds, catalog, config } = parts;
        let first = target::read(&catalog, &views, &Targets::default()).await?;
        let (aim, targets) = watch::channel(first);
        let total_bytes = Arc::new(AtomicUsize::new(0));
        let mut layer = Self {
            views: HashMap::new(),
            streams: HashMap::new(),
            total_bytes: Arc::clone(&total_bytes),
            pressure: Arc::default(),
        };
        for (stream, feed) in feeds {
            let mine: Vec<Arc<View>> = views.iter().filter(|v| v.stream == stream).cloned().collect();
            for (i, view) in mine.iter().enumerate() {
                layer.views.insert(view.name.clone(), (stream.clone(), i));
            }
            let mut doors = vec![];
            for partition in 0..feed.partitions().cast_signed() {
                let (sender, inbox) = mpsc::channel(WAITING);
                let state = watch::Sender::new(FoldState::Folding);
                let shared = Arc::new(Shared { head: AtomicI64::new(0), bytes: AtomicUsize::new(0), state });
                let fold = PartitionFold {
                    feed: Arc::clone(&feed),
                    partition,
                    inbox,
                    targets: targets.clone(),
                    shared: Arc::clone(&shared),
                    total_bytes: Arc::clone(&total_bytes),
                    pause_above: config.memory_limit.saturating_mul(2),
                    seal_interval: config.seal_interval,
                    shutdown: shutdown.clone(),
                };
                tracker.spawn(fold.run(Views::new(&mine, partition)));
                doors.push(Door { inbox: sender, shared });
            }
            layer.streams.insert(stream, doors);
        }
        let layer = Arc::new(layer);
        let follow = Follow { layer: Arc::clone(&layer), catalog, views, config, aim };
        tracker.spawn(follow.run(shutdown.clone()));
        Ok(layer)
    }

    /// Notified, at most once per poll, while states take more than the memory limit: somebody should start an
    /// incremental batch run.
    pub fn pressure(&self) -> Arc<Notify> {
        Arc::clone(&self.pressure)
    }

    /// Bytes of all states.
    pub fn bytes(&self) -> usize {
        self.total_bytes.load(Ordering::Relaxed)
    }

    /// Tells of the end of a segment that is about to be landed: the next cut may fall there, and a slice that
    /// ends there need not be folded again. Telling is a help, never needed, so it does not wait.
    pub fn expect_boundary(&self, stream: &StreamName, partition: i32, end: i64) {
        let door = self.streams.get(stream).zip(usize::try_from(partition).ok()).and_then(|(doors, p)| doors.get(p));
        if let Some(door) = door
            && door.inbox.try_send(Message::Boundary(end)).is_err()
        {
            tracing::debug!(%stream, partition, end, "partition is too busy to note a boundary");
        }
    }

    /// How every partition is doing.
    pub fn status(&self) -> Vec<PartitionStatus> {
        let mut all = vec![];
        for (stream, doors) in &self.streams {
            for (partition, door) in (0..).zip(doors) {
                all.push(PartitionStatus {
                    stream: stream.clone(),
                    partition,
                    head: door.shared.head.load(Ordering::Relaxed),
                    bytes: door.shared.bytes.load(Ordering::Relaxed),
                    state: door.shared.state.borrow().clone(),
                });
            }
        }
        all.sort_by(|a, b| (&a.stream, a.partition).cmp(&(&b.stream, b.partition)));
        all
    }

    fn doors(&self, view: &ViewName) -> Result<(&[Door], usize), RealtimeError> {
        let (stream, number) = self.views.get(view).ok_or_else(|| RealtimeError::UnknownView(view.clone()))?;
        Ok((self.streams.get(stream).map_or(&[][..], Vec::as_slice), *number))
    }
}

#[async_trait]
impl Realtime for SpeedLayer {
    async fn read(&self, view: &ViewName, floor: &Cut) -> Result<RealtimeView, RealtimeError> {
        let (doors, number) = self.doors(view)?;
        let mut answers = vec![];
        for (partition, door) in (0..).zip(doors) {
            let (answer, receive) = oneshot::channel();
            let request = ReadRequest { view: number, floor: floor.get(partition), answer };
            let sent = door.inbox.send(Message::Read(request)).await;
            sent.map_err(|_| stopped(view, partition, "the speed layer is shutting down"))?;
            answers.push(receive);
        }
        let mut realtime = RealtimeView { floor: Cut::default(), ..RealtimeView::default() };
        for (partition, answer) in (0..).zip(answers) {
            let answer = answer.await.map_err(|_| stopped(view, partition, "the speed layer is shutting down"))?;
            let (slices, head) = answer?;
            realtime.floor.0.set(partition, floor.get(partition));
            realtime.head.set(partition, head);
            realtime.slices.extend(slices);
        }
        Ok(realtime)
    }

    fn head(&self, view: &ViewName) -> Result<Offsets, RealtimeError> {
        let (doors, _) = self.doors(view)?;
        Ok((0..).zip(doors).map(|(p, door)| (p, door.shared.head.load(Ordering::Relaxed))).collect())
    }
}

fn stopped(view: &ViewName, partition: i32, why: &str) -> RealtimeError {
    RealtimeError::Stopped { view: view.clone(), partition, why: why.to_owned() }
}

/// Follows the catalog: new generations, rollbacks and runs under way become targets of the partitions.
struct Follow {
    layer: Arc<SpeedLayer>,
    catalog: Catalog,
    views: Vec<Arc<View>>,
    config: SpeedConfig,
    aim: watch::Sender<Targets>,
}

impl Follow {
    async fn run(self, shutdown: CancellationToken) {
        let mut changes = self.catalog.changes();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = changes.changed() => {}
                () = tokio::time::sleep(self.config.poll_interval) => {}
            }
            let before = self.aim.borrow().clone();
            match target::read(&self.catalog, &self.views, &before).await {
                Ok(targets) => {
                    self.aim.send_if_modified(|old| std::mem::replace(old, targets.clone()) != targets);
                }
                Err(error) => tracing::warn!(%error, "cannot read the catalog; the speed layer keeps its slices"),
            }
            self.watch_memory();
        }
    }

    fn watch_memory(&self) {
        let bytes = self.layer.bytes();
        metrics::gauge!("dovetail_speed_bytes").set(bytes as f64);
        metrics::gauge!("dovetail_speed_bytes_limit").set(self.config.memory_limit as f64);
        for status in self.layer.status() {
            let labels = [("stream", status.stream.to_string()), ("partition", status.partition.to_string())];
            metrics::gauge!("dovetail_speed_head", &labels).set(status.head as f64);
        }
        if bytes > self.config.memory_limit {
            tracing::warn!(bytes, limit = self.config.memory_limit, "speed layer is over its memory limit");
            self.layer.pressure.notify_one();
        }
    }
}
