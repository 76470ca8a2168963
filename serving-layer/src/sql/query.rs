//! One query: runs within its time, its memory and its permit, on one snapshot.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::pin::Pin as Pinned;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::{ParamValues, Result as DfResult};
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::Statement;
use dovetail_core::functions::guard::Width;
use dovetail_core::name::Generation;
use dovetail_core::pipeline::nearest;
use dovetail_core::view::View;
use futures::{FutureExt, Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, Sleep, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use crate::error::{QueryError, Reason};
use crate::memory::Pool;
use crate::serving::Serving;
use crate::snapshot::{AsOf, Pin};
use crate::sql::control::Control;
use crate::sql::session::Settings;
use crate::sql::statement::{check, planned};
use crate::sql::watch::watched;

/// A statement's answer while it is being computed.
pub struct Answer {
    /// The answer's columns.
    pub schema: SchemaRef,
    /// The offsets that the views in it cover.
    pub as_of: Vec<AsOf>,
    /// The answer's rows.
    pub batches: Batches,
    pin: Arc<Pin>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("schema", &self.schema).field("as_of", &self.as_of).finish_non_exhaustive()
    }
}

impl Answer {
    /// The states of `view` in the snapshot of the answer.
    pub fn states(&self, view: &Arc<View>) -> impl Future<Output = Result<Vec<RecordBatch>, QueryError>> + use<> {
        let (pin, view) = (Arc::clone(&self.pin), Arc::clone(view));
        async move {
            let mut states = pin.states(&view).await?.batches.clone();
            states.extend(pin.tail(&view).await?.slices.iter().flat_map(|slice| slice.state.iter().cloned()));
            Ok(states)
        }
    }

    /// Collects the whole answer.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, QueryError> {
        let mut all = vec![];
        while let Some(batch) = self.batches.next().await {
            all.push(batch?);
        }
        Ok(all)
    }
}

/// A permit to run, returned when its last holder drops it.
type Turn = Arc<OwnedSemaphorePermit>;

/// The permit of a connection. Its statements and cursors are read one after the other, so they share one; with one
/// each, a message of several statements could wait for itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedTurn {
    turn: Arc<Mutex<Weak<OwnedSemaphorePermit>>>,
    /// Number of its given-up statements that still work. While there are some, they keep the permit.
    given_up: Arc<AtomicUsize>,
}

impl SharedTurn {
    fn held(&self) -> MutexGuard<'_, Weak<OwnedSemaphorePermit>> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_free(&self) -> bool {
        self.given_up.load(Ordering::SeqCst) == 0
    }
}

/// A function that binds a plan's parameters, once their types are known.
pub(crate) type Binder<'b> = &'b (dyn Fn(&LogicalPlan) -> Result<ParamValues, QueryError> + Send + Sync);

impl Serving {
    /// Answers one statement that reads.
    ///
    /// # Errors
    /// When the statement is refused, wrong, or exceeds a limit before its first row. Later errors come as items of
    /// the answer's batches.
    pub async fn query(&self, sql: &str) -> Result<Answer, QueryError> {
        let statement = self.dialect.parse_one(sql)?;
        self.start(&statement, &Settings::default(), None, "direct").await
    }

    /// As [`Serving::query`], for a kept generation.
    ///
    /// # Errors
    /// Also when the generation is gone, and for a merged view when the speed layer lacks records above the
    /// generation's cut.
    pub async fn query_as_of(&self, sql: &str, generation: Generation) -> Result<Answer, QueryError> {
        let statement = self.dialect.parse_one(sql)?;
        let settings = Settings { generation: Some(generation), ..Settings::default() };
        self.start(&statement, &settings, None, "direct").await
    }

    /// Plans `statement` on a new snapshot and starts it, both on other threads: the caller gets an answer when the
    /// time is over, whatever those threads do.
    pub(crate) async fn start(
        &self,
        statement: &Statement,
        settings: &Settings,
        binder: Option<Binder<'_>>,
        interface: &'static str,
    ) -> Result<Answer, QueryError> {
        let clock = Clocked::new(self.limit(settings), interface);
        let planned = AssertUnwindSafe(self.planned(statement, settings, binder, &clock)).catch_unwind();
        let started = match timeout_at(clock.deadline, planned).await {
            Ok(Ok(started)) => started.map_err(|error| self.with_table_hint(clock.explain(error))),
            Ok(Err(_panic)) => Err(QueryError::panicked()),
            Err(_) => Err(clock.timeout()),
        };
        if let Err(error) = &started {
            clock.ended(Some(error.reason));
        }
        started
    }

    async fn planned(
        &self,
        statement: &Statement,
        settings: &Settings,
        binder: Option<Binder<'_>>,
        clock: &Clocked,
    ) -> Result<Answer, QueryError> {
        check(statement)?;
        let turn = self.turn(&settings.turn, clock).await?;
        let pin = match settings.generation {
            Some(generation) => Pin::of(Arc::clone(&self.inner), generation).await?,
            None => Pin::new(Arc::clone(&self.inner)),
        };
        let pin = Arc::new(pin.partial(settings.partial));
        let statement = statement.clone();
        let length = statement.to_string().len();
        let reads = self.reads(&DfStatement::Statement(Box::new(statement.clone())));
        let memory = Pool::of_query(self.inner.config.query_memory, reads, &self.inner.memory);
        let control = Control::new(clock.deadline, &memory, Arc::clone(&settings.turn.given_up));
        let wanted = Wanted(Arc::clone(&control));
        let working = Working { control, memory, _turn: turn };
        let state = self.session(&pin, settings, &working.memory, &working.control, length)?.state();
        let reading = self.threads.spawn(async move {
            let plan = planned(&state, statement).await?;
            Ok::<_, QueryError>((state, plan, working))
        })?;
        let (state, mut plan, working) = reading.await.map_err(|_| QueryError::panicked())??;
        if let Some(binder) = binder {
            let values = binder(&plan)?;
            plan = plan.replace_params_with_values(&values)?;
        }
        let planning = self.threads.spawn(async move {
            let started = working.start(&state, &plan).await.map_err(|error| working.memory.explain(error))?;
            Ok::<_, QueryError>((started, working))
        })?;
        let ((schema, stream), working) = planning.await.map_err(|_| QueryError::panicked())??;
        let (rows, answered) = mpsc::channel(1);
        let work = self.threads.spawn(run(stream, working, rows, clock.clone()))?;
        let sleep = Box::pin(tokio::time::sleep_until(clock.deadline));
        let clock = clock.clone();
        let batches = Batches { answered, sleep, clock, has_ended: false, _wanted: wanted, _work: work };
        Ok(Answer { schema, as_of: pin.as_of(), batches, pin })
    }

    /// Waits for a permit among those of all queries.
    async fn turn(&self, shared: &SharedTurn, clock: &Clocked) -> Result<Turn, QueryError> {
        if shared.is_free()
            && let Some(turn) = shared.held().upgrade()
        {
            return Ok(turn);
        }
        match timeout_at(clock.deadline, Arc::clone(&self.inner.turns).acquire_owned()).await {
            Ok(Ok(turn)) => {
                let turn = Arc::new(turn);
                *shared.held() = Arc::downgrade(&turn);
                Ok(turn)
            }
            Ok(Err(_)) => Err(QueryError::new(Reason::NotReady, "the server is shutting down")),
            Err(_) => Err(QueryError::no_turn(clock.limit, self.inner.config.max_queries.max(1))),
        }
    }

    /// The tables of the statement, in its own words.
    fn reads(&self, statement: &DfStatement) -> Vec<String> {
        let tables = self.template.state_ref().read().resolve_table_references(statement).unwrap_or_default();
        tables.iter().map(|table| table.to_string()).collect()
    }

    /// Adds a hint to the error of an unknown table: what its name stands for, or a similar name.
    pub(crate) fn with_table_hint(&self, error: QueryError) -> QueryError {
        if error.reason != Reason::UndefinedTable || error.hint.is_some() {
            return error;
        }
        let Some(table) = error.message.split('\'').nth(1).and_then(|path| path.rsplit('.').next()) else {
            return error;
        };
        let inner = &self.inner;
        let hint = match inner.streams.iter().any(|stream| stream.name.as_str() == table) {
            true => {
                format!("a stream is not a table: its landed records are in `raw.{table}`, and views read the rest")
            }
            false => {
                let known = inner.views.iter().map(|view| view.name().as_str());
                match nearest(table, known.chain(inner.lookups.names().map(String::as_str))) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => return error,
                }
            }
        };
        error.with_hint(hint)
    }

    /// The shorter of the session's and the server's time limit, and its setting.
    fn limit(&self, settings: &Settings) -> (Duration, &'static str) {
        let most = self.inner.config.query_timeout;
        match settings.timeout.filter(|asked| *asked < most) {
            Some(asked) => (asked, "statement_timeout"),
            None => (most, "query.timeout"),
        }
    }
}

/// One query's time. It runs until the answer's last row is taken, also while the server waits for the client.
#[derive(Debug, Clone)]
struct Clocked {
    began: Instant,
    deadline: Instant,
    limit: Duration,
    /// The setting with the limit.
    setting: &'static str,
    interface: &'static str,
    /// Whether its end was counted.
    is_counted: Arc<AtomicBool>,
    /// Whether its time was over before its last row was passed on.
    is_late: Arc<AtomicBool>,
}

impl Clocked {
    fn new((limit, setting): (Duration, &'static str), interface: &'static str) -> Self {
        let began = Instant::now();
        Self {
            began,
            deadline: began + limit,
            limit,
            setting,
            interface,
            is_counted: Arc::default(),
            is_late: Arc::default(),
        }
    }

    fn timeout(&self) -> QueryError {
        QueryError::timeout(self.limit, self.setting)
    }

    /// Replaces an error that follows from the end of the time by the timeout itself.
    fn explain(&self, error: QueryError) -> QueryError {
        if error.reason == Reason::Timeout { self.timeout() } else { error }
    }

    fn ended(&self, reason: Option<Reason>) {
        self.counted(match reason {
            None => "answered",
            Some(Reason::Timeout) => "timeout",
            Some(Reason::Memory) => "memory",
            Some(Reason::ReadOnly) => "refused",
            Some(Reason::TooMany) => "too_many",
            Some(Reason::NotReady) => "not_ready",
            Some(Reason::Storage | Reason::Internal) => "failed",
            Some(_) => "wrong",
        });
    }

    fn counted(&self, outcome: &'static str) {
        if self.is_counted.swap(true, Ordering::SeqCst) {
            return;
        }
        metrics::counter!("dovetail_queries_total", "outcome" => outcome, "interface" => self.interface).increment(1);
        let seconds = self.began.elapsed().as_secs_f64();
        metrics::histogram!("dovetail_query_seconds", "interface" => self.interface).record(seconds);
    }
}

/// A caller that waits for a query.
struct Wanted(Arc<Control>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// The resources of a query while it works; its snapshot belongs to the stream.
struct Working {
    control: Arc<Control>,
    memory: Arc<Pool>,
    _turn: Turn,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.control.ended();
    }
}

impl Working {
    async fn start(
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

type Item = Result<RecordBatch, QueryError>;

/// Approximate size in bytes of a piece that is passed on at once, unless a single row has more: pieces are encoded for
/// a client in one go, on a thread that others wait for.
const PIECE: usize = 1 << 20;

/// A batch that is passed on piece by piece, and its memory if it is large.
struct Pieces {
    waiting: VecDeque<RecordBatch>,
    _room: Option<MemoryReservation>,
}

impl Pieces {
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
async fn run(stream: SendableRecordBatchStream, working: Working, rows: mpsc::Sender<Item>, clock: Clocked) {
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

async fn all(stream: SendableRecordBatchStream, working: Working, rows: &mpsc::Sender<Item>, clock: &Clocked) {
    let memory = Arc::clone(&working.memory);
    let pieces = |batch: DfResult<RecordBatch>| {
        batch.and_then(|batch| Pieces::of(batch, &memory)).map_err(|error| clock.explain(memory.explain(error)))
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

/// The rows of an answer, with an error at the end when the query's time is over. Dropping it cancels the query.
pub struct Batches {
    answered: mpsc::Receiver<Item>,
    sleep: Pinned<Box<Sleep>>,
    clock: Clocked,
    has_ended: bool,
    _wanted: Wanted,
    _work: AbortOnDropHandle<()>,
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").field("ended", &self.has_ended).finish_non_exhaustive()
    }
}

impl Stream for Batches {
    type Item = Item;

    fn poll_next(mut self: Pinned<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Item>> {
        let this = &mut *self;
        if this.has_ended {
            return Poll::Ready(None);
        }
        let item = match this.answered.poll_recv(context) {
            Poll::Ready(item) => item,
            Poll::Pending => {
                std::task::ready!(this.sleep.as_mut().poll(context));
                Some(Err(this.clock.timeout()))
            }
        };
        let item = match item {
            // It ended where no error could be sent.
            None if !this.clock.is_counted.load(Ordering::SeqCst) => Some(Err(QueryError::panicked())),
            None if this.clock.is_late.load(Ordering::SeqCst) => Some(Err(this.clock.timeout())),
            item => item,
        };
        if let Some(Err(error)) = &item {
            this.clock.ended(Some(error.reason));
        }
        this.has_ended = !matches!(item, Some(Ok(_)));
        Poll::Ready(item)
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.clock.counted("cancelled");
    }
}
