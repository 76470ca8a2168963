//! The work of a query: it computes the answer a batch ahead of the reader, on threads of its own.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::Result as DfResult;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use dovetail_core::functions::guard::Width;
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout_at;

use crate::error::QueryError;
use crate::memory::Pool;
use crate::sql::control::Control;
use crate::sql::query_clock::QueryClock;
use crate::sql::turn::TurnPermit;
use crate::sql::watch::watched;

/// Somebody waits for a query.
pub(super) struct Wanted(pub(super) Arc<Control>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// The resources of a query while it works; its snapshot belongs to the stream.
pub(super) struct Working {
    pub(super) control: Arc<Control>,
    pub(super) memory: Arc<Pool>,
    pub(super) _turn: TurnPermit,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.control.ended();
    }
}

impl Working {
    pub(super) async fn start(
        &self,
        state: &SessionState,
        plan: &LogicalPlan,
    ) -> DfResult<(SchemaRef, SendableRecordBatchStream)> {
        let physical = watched(state.create_physical_plan(plan).await?, &self.control)?;
        self.control.planned();
        let schema = physical.schema();
        Ok((schema, execute_stream(physical, state.task_ctx())?))
    }
}

pub(super) type Item = Result<RecordBatch, QueryError>;

/// Approximate size in bytes of a piece that is passed on at once, unless a single row has more: pieces are encoded for
/// a client in one go, on a thread that others wait for.
const PIECE: usize = 1 << 20;

/// A batch that is passed on piece by piece, and its memory if it is large.
struct BatchPieces {
    waiting: VecDeque<RecordBatch>,
    _room: Option<MemoryReservation>,
}

impl BatchPieces {
    fn of(batch: RecordBatch, memory: &Arc<Pool>) -> DfResult<Self> {
        let bytes: u64 = batch.columns().iter().map(|column| Width::of_array(column).total(batch.num_rows())).sum();
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes <= PIECE {
            return Ok(Self { waiting: VecDeque::from([batch]), _room: None });
        }
        let room = MemoryConsumer::new("rows").register(&memory.shared());
        room.try_grow(bytes)?;
        let rows = batch.num_rows();
        let each = (rows / bytes.div_ceil(PIECE)).max(1);
        let slices = (0..rows).step_by(each).map(|from| batch.slice(from, each.min(rows - from)));
        Ok(Self { waiting: slices.collect(), _room: Some(room) })
    }
}

/// Computes the answer one batch ahead of its reader, until its time is over: also when nobody reads any more.
pub(super) async fn run(
    stream: SendableRecordBatchStream,
    working: Working,
    rows: mpsc::Sender<Item>,
    clock: QueryClock,
) {
    let all = AssertUnwindSafe(all(stream, working, &rows, &clock)).catch_unwind();
    let error = match timeout_at(clock.deadline, all).await {
        Ok(Ok(())) => return,
        Ok(Err(_panic)) => QueryError::panicked(),
        Err(_) => {
            clock.is_late.store(true, Ordering::SeqCst);
            clock.timeout()
        }
    };
    clock.ended(Some(error.reason));
    // Without room for the error, the reader learns the end from the clock.
    let _ = rows.try_send(Err(error));
}

async fn all(stream: SendableRecordBatchStream, working: Working, rows: &mpsc::Sender<Item>, clock: &QueryClock) {
    let memory = Arc::clone(&working.memory);
    let pieces = |batch: DfResult<RecordBatch>| {
        batch.and_then(|batch| BatchPieces::of(batch, &memory)).map_err(|error| clock.explain(memory.explain(error)))
    };
    let mut holding = Some((stream, working));
    let mut ahead = None;
    while let Some((stream, _)) = &mut holding {
        let Ok(place) = rows.reserve().await else { return };
        let next = match ahead.take() {
            Some(next) => next,
            None => stream.next().await.map(pieces),
        };
        let item = match next {
            None => break,
            Some(Err(error)) => {
                holding = None;
                clock.ended(Some(error.reason));
                Err(error)
            }
            Some(Ok(mut next)) => {
                let Some(piece) = next.waiting.pop_front() else { continue };
                // Checked before the last row is passed on: after it the query holds nothing any more.
                if !next.waiting.is_empty() {
                    ahead = Some(Some(Ok(next)));
                } else if let Poll::Ready(next) = futures::poll!(stream.next()) {
                    ahead = Some(next.map(pieces));
                }
                if matches!(ahead, Some(None)) {
                    holding = None;
                    clock.ended(None);
                }
                Ok(piece)
            }
        };
        place.send(item);
    }
    clock.ended(None);
}
