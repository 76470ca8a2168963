//! Running one query: within its time, its memory and its turn, on one snapshot.

use std::panic::AssertUnwindSafe;
use std::pin::Pin as Pinned;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::ParamValues;
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
use crate::serving::Serving;
use crate::session::Settings;
use crate::snapshot::{AsOf, Pin};
use crate::sql::{check, check_plan};

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
        let limit = self.limit(settings);
        let clock = Clocked { began: Instant::now(), deadline: Instant::now() + limit, limit, interface };
        let planned = AssertUnwindSafe(self.planned(statement, settings, binder, &clock)).catch_unwind();
        let started = match timeout_at(clock.deadline, planned).await {
            Ok(Ok(started)) => started.map_err(|error| self.with_table_hint(error)),
            Ok(Err(_panic)) => Err(QueryError::panicked()),
            Err(_) => Err(QueryError::timeout(limit)),
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
        let turn = Arc::clone(&self.inner.turns).acquire_owned().await;
        let turn = turn.map_err(|_| QueryError::new(Reason::NotReady, "the server is shutting down"))?;
        let pin = match settings.generation {
            Some(generation) => Pin::of(Arc::clone(&self.inner), generation).await?,
            None => Pin::new(Arc::clone(&self.inner)),
        };
        let pin = Arc::new(pin.partial(settings.partial));
        let state = self.session(&pin, settings)?.state();
        let mut plan = state.statement_to_plan(DfStatement::Statement(Box::new(statement.clone()))).await?;
        check_plan(&plan)?;
        if let Some(binder) = binder {
            let values = binder(&plan)?;
            plan = plan.replace_params_with_values(&values)?;
        }
        let physical = state.create_physical_plan(&plan).await?;
        let schema = physical.schema();
        let stream = execute_stream(physical, state.task_ctx())?;
        let batches = Batches {
            stream: Some(stream),
            sleep: Box::pin(tokio::time::sleep_until(clock.deadline)),
            clock: clock.clone(),
            turn: Some(turn),
        };
        Ok(Answer { schema, as_of: pin.as_of(), batches, pin })
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

    /// The shorter of what the session asks for and what the server allows.
    fn limit(&self, settings: &Settings) -> Duration {
        let most = self.inner.config.query_timeout;
        settings.timeout.map_or(most, |asked| asked.min(most))
    }
}

/// One query's time.
#[derive(Debug, Clone)]
struct Clocked {
    began: Instant,
    deadline: Instant,
    limit: Duration,
    interface: &'static str,
}

impl Clocked {
    fn ended(&self, reason: Option<Reason>) {
        let outcome = match reason {
            None => "answered",
            Some(Reason::Timeout) => "timeout",
            Some(Reason::Memory) => "memory",
            Some(Reason::ReadOnly) => "refused",
            Some(Reason::NotReady | Reason::TooMany) => "not_ready",
            Some(Reason::Storage | Reason::Internal) => "failed",
            Some(_) => "wrong",
        };
        metrics::counter!("dovetail_queries_total", "outcome" => outcome, "interface" => self.interface).increment(1);
        let seconds = self.began.elapsed().as_secs_f64();
        metrics::histogram!("dovetail_query_seconds", "interface" => self.interface).record(seconds);
    }
}

/// The rows of an answer; ends with an error when the query's time is over. Dropping it cancels the query.
pub struct Batches {
    /// `None` once it has ended.
    stream: Option<SendableRecordBatchStream>,
    sleep: Pinned<Box<Sleep>>,
    clock: Clocked,
    /// Given back with the first rows: what follows is only sent, as fast as the client takes it.
    turn: Option<OwnedSemaphorePermit>,
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches").field("ended", &self.stream.is_none()).finish_non_exhaustive()
    }
}

impl Stream for Batches {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pinned<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(stream) = &mut this.stream else { return Poll::Ready(None) };
        if this.sleep.as_mut().poll(context).is_ready() {
            return Poll::Ready(this.end(Some(QueryError::timeout(this.clock.limit))));
        }
        // A bug in one query must not end the task that serves the connection.
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| stream.poll_next_unpin(context)));
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Some(Ok(batch)))) => {
                this.turn = None;
                Poll::Ready(Some(Ok(batch)))
            }
            Ok(Poll::Ready(Some(Err(error)))) => Poll::Ready(this.end(Some(error.into()))),
            Ok(Poll::Ready(None)) => Poll::Ready(this.end(None)),
            Err(_panic) => Poll::Ready(this.end(Some(QueryError::panicked()))),
        }
    }
}

impl Batches {
    fn end(&mut self, error: Option<QueryError>) -> Option<Result<RecordBatch, QueryError>> {
        self.stream = None;
        self.turn = None;
        self.clock.ended(error.as_ref().map(|error| error.reason));
        error.map(Err)
    }
}
