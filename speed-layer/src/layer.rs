//! The running speed layer, and its interface for readers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use dovetail_core::name::{StreamName, ViewName};
use dovetail_core::offsets::{Cut, Offsets};
use dovetail_core::realtime::{Realtime, RealtimeError, RealtimeView, Stall};
use dovetail_core::view::View;
use futures::future::join_all;
use tokio::sync::{Notify, oneshot, watch};

use crate::desired_state::Targets;
use crate::handles::{Handles, PartitionHandle};
use crate::partition::{PartitionMessage, ReadAnswer, ReadRequest, ViewRead};
use crate::status::PartitionStatus;
use crate::view_fold::Subscriber;

/// The running speed layer.
///
/// A partition is read up to its head, also when it is paused, stalled or stopped; [`SpeedLayer::status`] has the
/// reason why it is not folded further.
#[derive(Debug)]
pub struct SpeedLayer {
    pub(crate) views: HashMap<ViewName, KnownView>,
    pub(crate) streams: HashMap<StreamName, Arc<Handles>>,
    pub(crate) total_bytes: Arc<AtomicUsize>,
    pub(crate) pressure: Arc<Notify>,
    /// Keeps the desired state of a job, which never changes, for its partitions.
    #[expect(dead_code, reason = "the partitions end without it")]
    pub(crate) job: Option<watch::Sender<Targets>>,
}

/// A view and its index among its stream's views.
#[derive(Debug)]
pub(crate) struct KnownView {
    pub(crate) view: Arc<View>,
    pub(crate) number: usize,
}

impl SpeedLayer {
    /// Notified at every poll while states take more than the memory limit: the receiver should start an incremental
    /// batch run.
    pub fn pressure(&self) -> Arc<Notify> {
        Arc::clone(&self.pressure)
    }

    /// Bytes of all states in memory.
    pub fn bytes(&self) -> usize {
        self.total_bytes.load(Ordering::Relaxed)
    }

    /// Announces the end of a segment that is about to be landed: the next cut may be there, and a slice that ends
    /// there need not be folded again. The announcement saves work and is never needed, so it does not wait.
    pub fn expect_boundary(&self, stream: &StreamName, partition: i32, end: i64) {
        let handles = self.streams.get(stream).zip(usize::try_from(partition).ok());
        let handle = handles.and_then(|(handles, p)| handles.all().get(p).cloned());
        if let Some(handle) = handle
            && handle.mailbox.try_send(PartitionMessage::Boundary(end)).is_err()
        {
            tracing::debug!(%stream, partition, end, "partition is too busy to note a boundary");
        }
    }

    /// The status of every partition assigned to this layer, by stream and partition.
    pub fn status(&self) -> Vec<PartitionStatus> {
        let mut all = vec![];
        for (stream, handles) in &self.streams {
            for (partition, PartitionHandle { shared, .. }) in
                (0..).zip(&*handles.all()).filter(|(_, handle)| handle.shared.is_assigned())
            {
                all.push(PartitionStatus {
                    stream: stream.clone(),
                    partition,
                    head: shared.lowest_head().unwrap_or(0),
                    bytes: shared.bytes.load(Ordering::Relaxed),
                    slices: shared.slices.load(Ordering::Relaxed),
                    state: shared.state.borrow().clone(),
                });
            }
        }
        all.sort_by(|a, b| (&a.stream, a.partition).cmp(&(&b.stream, b.partition)));
        all
    }

    /// The view, if it is folded here.
    pub(crate) fn view(&self, view: &ViewName) -> Option<&Arc<View>> {
        self.views.get(view).map(|known| &known.view)
    }

    /// Grows when a head of the view's stream moves, or a partition comes or goes.
    pub(crate) fn moved(&self, view: &View) -> Option<watch::Receiver<u64>> {
        self.streams.get(&view.stream).map(|handles| handles.moved.subscribe())
    }

    /// The partitions of `view` assigned to this layer, each with its head; `None` where it is unfilled.
    pub(crate) fn heads(&self, view: &ViewName) -> Vec<(i32, Option<i64>)> {
        let Ok((handles, number)) = self.handles(view) else { return vec![] };
        let assignment = (0..).zip(&*handles).filter(|(_, handle)| handle.shared.is_assigned());
        assignment.map(|(partition, handle)| (partition, handle.shared.head(number))).collect()
    }

    /// The least offset from which each partition of `view` can be read.
    pub(crate) fn starts(&self, view: &ViewName) -> BTreeMap<i32, i64> {
        let Ok((handles, number)) = self.handles(view) else { return BTreeMap::new() };
        (0..).zip(&*handles).filter_map(|(p, handle)| Some((p, handle.shared.start(number)?))).collect()
    }

    /// Reads one partition of `view`; with a subscriber, a boundary is kept at the end of the answer.
    pub(crate) async fn read_partition(
        &self,
        view: &ViewName,
        partition: i32,
        start: i64,
        subscriber: Option<&Arc<Subscriber>>,
    ) -> ReadAnswer {
        let Ok((handles, number)) = self.handles(view) else { return None };
        let handle = handles.get(usize::try_from(partition).ok()?)?;
        let (answer, receive) = oneshot::channel();
        let request = ReadRequest { view: number, start, subscriber: subscriber.cloned(), answer };
        if handle.mailbox.send(PartitionMessage::Read(request)).await.is_err() {
            return Some(Err(ended(view, partition)));
        }
        receive.await.unwrap_or_else(|_| Some(Err(ended(view, partition))))
    }

    /// The handles to the partitions of the view's stream, and the view's index there.
    fn handles(&self, view: &ViewName) -> Result<(Arc<Vec<PartitionHandle>>, usize), RealtimeError> {
        let known = self.views.get(view).ok_or_else(|| RealtimeError::UnknownView(view.clone()))?;
        Ok((self.streams.get(&known.view.stream).map(|handles| handles.all()).unwrap_or_default(), known.number))
    }
}

#[async_trait]
impl Realtime for SpeedLayer {
    /// Omits the partitions that are not assigned to this layer.
    async fn read(&self, view: &ViewName, start: &Cut) -> Result<RealtimeView, RealtimeError> {
        let (handles, _) = self.handles(view)?;
        let partitions = (0..).zip(&*handles).map(|(partition, _)| partition);
        let answers = partitions.map(|partition| self.read_partition(view, partition, start.get(partition), None));
        let mut realtime = RealtimeView::default();
        for (partition, answer) in (0..).zip(join_all(answers).await) {
            match answer {
                None => {}
                Some(Ok(ViewRead { slices, head, .. })) => {
                    realtime.start.0.set(partition, start.get(partition));
                    realtime.head.set(partition, head);
                    realtime.slices.extend(slices);
                }
                Some(Err(error)) => {
                    realtime.missing.insert(partition, error);
                }
            }
        }
        Ok(realtime)
    }

    fn keep_boundary(&self, view: &ViewName, at: &Offsets) {
        let Ok((handles, number)) = self.handles(view) else { return };
        for (partition, handle) in (0..).zip(&*handles) {
            // If a partition is too busy to take the message, the reader only has to merge more.
            let _ = handle.mailbox.try_send(PartitionMessage::Keep { view: number, at: at.get(partition) });
        }
    }

    /// Omits the partitions in which the view is unfilled.
    fn head(&self, view: &ViewName) -> Result<Offsets, RealtimeError> {
        let (handles, number) = self.handles(view)?;
        Ok((0..).zip(&*handles).filter_map(|(p, handle)| Some((p, handle.shared.head(number)?))).collect())
    }

    fn stalled(&self, view: &ViewName) -> Vec<(i32, Stall)> {
        let Ok((handles, number)) = self.handles(view) else { return vec![] };
        (0..).zip(&*handles).filter_map(|(p, handle)| Some((p, handle.shared.stalled(number)?))).collect()
    }
}

fn ended(view: &ViewName, partition: i32) -> RealtimeError {
    let why = "its task has ended; unless the process is stopping, its log says why".to_owned();
    RealtimeError::Stopped { view: view.clone(), partition, why }
}
