//! The fold of a job: the same partitions and views, from a start in the log and on no generation.

use std::collections::HashMap;
use std::sync::Arc;

use dovetail_core::name::{StreamName, ViewName};
use dovetail_core::offsets::Cut;
use dovetail_core::realtime::Slice;
use dovetail_core::view::View;
use dovetail_ingestion::decoded_log::DecodedLog;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::SpeedConfig;
use crate::desired_state::{DesiredState, Start, Targets};
use crate::layer::SpeedLayer;
use crate::purpose::Purpose;
use crate::start::FoldParts;
use crate::views::RestoredSlices;

/// The parts of a job's fold.
#[derive(Debug)]
pub struct JobParts {
    /// The views to fold.
    pub views: Vec<Arc<View>>,
    /// The decoded log of every stream that a view reads: readers of the job alone.
    pub decoded_logs: HashMap<StreamName, Arc<DecodedLog>>,
    /// The slices with which each view begins: at most one a partition, from offset 0 up to the next record to fold.
    /// A partition without one begins at offset 0.
    pub restored: HashMap<ViewName, Vec<Slice>>,
    /// The settings; folding pauses at the memory limit.
    pub config: SpeedConfig,
}

impl SpeedLayer {
    /// Starts the fold of a job. Readers ask for everything from offset 0 and get the whole answer.
    pub fn start_job(parts: JobParts, tracker: &TaskTracker, shutdown: &CancellationToken) -> Arc<Self> {
        let JobParts { views, decoded_logs, restored, config } = parts;
        let whole = || DesiredState { start: Start::Cut(Cut::default()), previous: None, coming: vec![] };
        let targets =
            Targets { views: views.iter().map(|view| (view.name.clone(), whole())).collect(), ..Targets::default() };
        let (keep, targets) = watch::channel(targets);
        let by_partition = |slices: Vec<Slice>| slices.into_iter().map(|slice| (slice.partition, slice)).collect();
        let restored: RestoredSlices =
            restored.into_iter().map(|(view, slices)| (view, by_partition(slices))).collect();
        let purpose = Purpose::Job;
        let fold = FoldParts { views, decoded_logs, targets, assignment: None, purpose, restored, config };
        let layer = Self::open(fold, tracker, shutdown);
        Arc::new(Self { job: Some(keep), ..layer })
    }
}
