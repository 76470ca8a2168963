//! Running one query: within its time, its memory and its turn, on one snapshot.

use std::panic::AssertUnwindSafe;
use std::pin::Pin as Pinned;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::ParamValues;
use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::Statement;
use dovetail_core::name::Generation;
use dovetail_core::pipeline::nearest;
use dovetail_core::view::View;
use futures::{FutureExt, Stream, StreamExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, timeout_at};

use crate::error::{QueryError, Reason};
use crate::memory::Pool;
use crate::serving::Serving;
use crate::session::Settings;
use crate::snapshot::{AsOf, Pin};
use crate::sql::{check, planned};

/// A statement's answer while it is being computed.
pub struct Answer {
    pub schema: SchemaRef,
    /// What the views in it are as of.
    pub as_of: Vec<AsOf>,
    pub batches: Batches,
    pin: Arc<Pin>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("schema", &self.schema).field("as_of", &self.as_of).finish_non_exhaustive()
    }
}

impl Answer {
    /// The states of `view` in the snapshot that the answer comes from.
    pub fn states(&self, view: &Arc<View>) -> impl Future<Output = Result<Vec<RecordBatch>, QueryError>> + use<> {
        let (pin, view) = (Arc::clone(&self.pin), Arc::clone(view));
        async move {
            let mut states = pin.states(&view).await?.batches.clone();
            states.extend(pin.tail(&view).await?.slices.iter().flat_map(|slice| slice.state.iter().cloned()));
            Ok(states)
        }
    }

    /// All of the answer.
    pub async fn collect(mut self) -> Result<Vec<RecordBatch>, QueryError> {
        let mut all = vec![];
        while let Some(batch) = self.batches.next().await {
            all.push(batch?);
        }
        Ok(all)
    }
}

/// Leave to run, given back when nobody has it any more.
type Turn = Arc<OwnedSemaphorePermit>;

/// The turn of a connection. Its statements and cursors are read one after the other, so they need one between them;
/// if each had its own, a message of several statements could wait for itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedTurn(Arc<Mutex<Weak<OwnedSemaphorePermit>>>);

impl SharedTurn {
    fn held(&self) -> MutexGuard<'_, Weak<OwnedSemaphorePermit>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Turns a plan with parameters into one without, once the parameters' types are known.
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

    /// As [`Serving::query`], as of a generation that is kept.
    ///
    /// # Errors
    /// Besides those, when the generation is gone; of a merged view, when the speed layer holds less than what came
    /// after the generation's cut.
    pub async fn query_as_of(&self, sql: &str, generation: Generation) -> Result<Answer, QueryError> {
        let statement = self.dialect.parse_one(sql)?;
        let settings = Settings { generation: Some(generation), ..Settings::default() };
        self.start(&statement, &settings, None, "direct").await
    }

    /// Plans `statement` on a new snapshot and starts it.
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
            Ok(Ok(started)) => started.map_err(|error| self.with_table_hint(error)),
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
        let reads = self.reads(&DfStatement::Statement(Box::new(statement.clone())));
        let memory = Pool::of_query(self.inner.config.query_memory, reads, &self.inner.memory);
        let state = self.session(&pin, settings, &memory)?.state();
        let mut plan = planned(&state, statement.clone()).await?;
        if let Some(binder) = binder {
            let values = binder(&plan)?;
            plan = plan.replace_params_with_values(&values)?;
        }
        let physical = state.create_physical_plan(&plan).await.map_err(|error| memory.explain(error))?;
        let schema = physical.schema();
        let stream = execute_stream(physical, state.task_ctx()).map_err(|error| memory.explain(error))?;
        let batches = Batches::new(Work { stream, memory, _turn: turn }, clock);
        Ok(Answer { schema, as_of: pin.as_of(), batches, pin })
    }

    /// Waits until one of the queries that may run at the same time has ended.
    async fn turn(&self, shared: &SharedTurn, clock: &Clocked) -> Result<Turn, QueryError> {
        if let Some(turn) = shared.held().upgrade() {
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

    /// The tables that the statement names, as it names them.
    fn reads(&self, statement: &DfStatement) -> Vec<String> {
        let tables = self.template.state_ref().read().resolve_table_references(statement).unwrap_or_default();
        tables.iter().map(|table| table.to_string()).collect()
    }

    /// Tells of a table that is not found what its name stands for, or which one may be meant.
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

    /// The shorter of what the session asks for and what the server allows, and which of them it is.
    fn limit(&self, settings: &Settings) -> (Duration, &'static str) {
        let most = self.inner.config.query_timeout;
        match settings.timeout.filter(|asked| *asked < most) {
            Some(asked) => (asked, "statement_timeout"),
            None => (most, "query.timeout"),
        }
    }
}

/// One query's time. It runs until the answer's last row is taken: also while the server waits for the client.
#[derive(Debug, Clone)]
struct Clocked {
    began: Instant,
    deadline: Instant,
    limit: Duration,
    /// The setting that is the limit.
    setting: &'static str,
    interface: &'static str,
}

impl Clocked {
    fn new((limit, setting): (Duration, &'static str), interface: &'static str) -> Self {
        let began = Instant::now();
        Self { began, deadline: began + limit, limit, setting, interface }
    }

    fn timeout(&self) -> QueryError {
        QueryError::timeout(self.limit, self.setting)
    }

    fn ended(&self, reason: Option<Reason>) {
        let outcome = match reason {
            None => "answered",
            Some(Reason::Timeout) => "timeout",
            Some(Reason::Memory) => "memory",
            Some(Reason::ReadOnly) => "refused",
            Some(Reason::TooMany) => "too_many",
            Some(Reason::NotReady) => "not_ready",
            Some(Reason::Storage | Reason::Internal) => "failed",
            Some(_) => "wrong",
        };
        metrics::counter!("dovetail_queries_total", "outcome" => outcome, "interface" => self.interface).increment(1);
        let seconds = self.began.elapsed().as_secs_f64();
        metrics::histogram!("dovetail_query_seconds", "interface" => self.interface).record(seconds);
    }
}

/// What a query holds while it runs; its snapshot is the stream's.
struct Work {
    stream: SendableRecordBatchStream,
    memory: Arc<Pool>,
    _turn: Turn,
}

/// The work of a query, which ends with its time even when nobody asks for the next row any more.
struct Running {
    /// `None` once it has ended.
    work: Mutex<Option<Work>>,
    is_over: AtomicBool,
}

impl Running {
    /// Ends the work. While it is being polled it goes on until that returns: who polls looks at `is_over` then.
    fn over(&self, clock: &Clocked) {
        self.is_over.store(true, Ordering::SeqCst);
        let work = match self.work.try_lock() {
            Ok(mut work) => work.take(),
            Err(TryLockError::Poisoned(work)) => work.into_inner().take(),
            Err(TryLockError::WouldBlock) => None,
        };
        if work.is_some() {
            clock.ended(Some(Reason::Timeout));
        }
    }

    fn work(&self) -> MutexGuard<'_, Option<Work>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Item = Result<RecordBatch, QueryError>;

/// The rows of an answer; ends with an error when the query's time is over. Dropping it cancels the query.
pub struct Batches {
    running: Arc<Running>,
    sleep: Pinned<Box<Sleep>>,
    clock: Clocked,
    /// Looked for when the one before was taken: a query whose last batch was taken holds nothing any more.
    ahead: Option<Item>,
    has_ended: bool,
    /// Ends the query also when its client does not read.
    _watch: SpawnedTask<()>,
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
        if this.ahead.is_none() && this.has_ended {
            return Poll::Ready(None);
        }
        let item = match this.ahead.take() {
            Some(item) => item,
            None => match this.computed(context) {
                Poll::Ready(Some(item)) => item,
                other => return other,
            },
        };
        if item.is_ok()
            && !this.has_ended
            && let Poll::Ready(next) = this.computed(context)
        {
            this.ahead = next;
        }
        Poll::Ready(Some(item))
    }
}

impl Batches {
    fn new(work: Work, clock: &Clocked) -> Self {
        let running = Arc::new(Running { work: Mutex::new(Some(work)), is_over: AtomicBool::new(false) });
        let (watched, watch_clock) = (Arc::clone(&running), clock.clone());
        let watch = SpawnedTask::spawn(async move {
            tokio::time::sleep_until(watch_clock.deadline).await;
            watched.over(&watch_clock);
        });
        let sleep = Box::pin(tokio::time::sleep_until(clock.deadline));
        Self { running, sleep, clock: clock.clone(), ahead: None, has_ended: false, _watch: watch }
    }

    fn computed(&mut self, context: &mut Context<'_>) -> Poll<Option<Item>> {
        if self.sleep.as_mut().poll(context).is_ready() {
            return Poll::Ready(self.end(Some(self.clock.timeout())));
        }
        let polled = {
            let mut work = self.running.work();
            let Some(Work { stream, memory, .. }) = &mut *work else {
                drop(work);
                return Poll::Ready(self.end(Some(self.clock.timeout())));
            };
            // A bug in one query must not end the task that serves the connection.
            match std::panic::catch_unwind(AssertUnwindSafe(|| stream.poll_next_unpin(context))) {
                Ok(polled) => polled.map_err(|error| memory.explain(error)),
                Err(_panic) => Poll::Ready(Some(Err(QueryError::panicked()))),
            }
        };
        match polled {
            _ if self.running.is_over.load(Ordering::SeqCst) => Poll::Ready(self.end(Some(self.clock.timeout()))),
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(batch))) => Poll::Ready(Some(Ok(batch))),
            Poll::Ready(Some(Err(error))) => Poll::Ready(self.end(Some(error))),
            Poll::Ready(None) => Poll::Ready(self.end(None)),
        }
    }

    fn end(&mut self, error: Option<QueryError>) -> Option<Item> {
        self.has_ended = true;
        let work = self.running.work().take();
        if work.is_some() {
            self.clock.ended(error.as_ref().map(|error| error.reason));
        }
        error.map(Err)
    }
}
