//! One query: runs within its time, its memory and its permit, on one snapshot.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::ParamValues;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::Statement;
use dovetail_core::clock;
use dovetail_core::name::Generation;
use dovetail_core::name::JobName;
use dovetail_core::pipeline::nearest;
use dovetail_core::view::View;
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout_at;

use crate::error::{QueryError, Reason};
use crate::memory::Pool;
use crate::serving::Serving;
use crate::snapshot::{AsOf, Snapshot};
use crate::sql::batches::Batches;
use crate::sql::control::Control;
use crate::sql::query_clock::QueryClock;
use crate::sql::query_work::{Wanted, Working, run};
use crate::sql::settings::Settings;
use crate::sql::statement::{check, planned};
use crate::sql::turn::{SharedTurn, TurnPermit};

/// A statement's answer while it is being computed.
pub struct Answer {
    /// The answer's columns.
    pub schema: SchemaRef,
    /// The offsets that the views in it cover.
    pub as_of: Vec<AsOf>,
    /// The answer's rows.
    pub batches: Batches,
    snapshot: Arc<Snapshot>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("schema", &self.schema).field("as_of", &self.as_of).finish_non_exhaustive()
    }
}

impl Answer {
    /// The states of `view` in the snapshot of the answer; those of a stream job if one is named.
    pub fn states(
        &self,
        view: &Arc<View>,
        job: Option<&JobName>,
    ) -> impl Future<Output = Result<Vec<RecordBatch>, QueryError>> + use<> {
        let snapshot = job.and_then(|job| self.snapshot.jobs.get(job)).unwrap_or(&self.snapshot);
        let (snapshot, view) = (Arc::clone(snapshot), Arc::clone(view));
        async move {
            let mut states = snapshot.states(&view).await?.batches.clone();
            states.extend(
                snapshot.realtime_part(&view).await?.slices.iter().flat_map(|slice| slice.state.iter().cloned()),
            );
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

    /// Plans `statement` on a new snapshot and starts it, both on other threads. So the caller gets an answer when the
    /// time is over, even if those threads are still busy.
    pub(crate) async fn start(
        &self,
        statement: &Statement,
        settings: &Settings,
        binder: Option<Binder<'_>>,
        interface: &'static str,
    ) -> Result<Answer, QueryError> {
        let clock = QueryClock::new(self.limit(settings), interface);
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
        clock: &QueryClock,
    ) -> Result<Answer, QueryError> {
        check(statement)?;
        let turn = self.turn(&settings.turn, clock).await?;
        let snapshot = match settings.generation {
            Some(generation) => Snapshot::of(Arc::clone(&self.layers), generation).await?,
            None => Snapshot::new(Arc::clone(&self.layers)),
        };
        let snapshot = Arc::new(snapshot.partial(settings.partial));
        let statement = statement.clone();
        let length = statement.to_string().len();
        let reads = self.reads(&DfStatement::Statement(Box::new(statement.clone())));
        let memory = Pool::of_query(self.config.query_memory, reads, &self.layers.memory);
        let control = Control::new(clock.deadline, &memory, Arc::clone(&settings.turn.given_up));
        let wanted = Wanted(Arc::clone(&control));
        let working = Working { control, memory, _turn: turn };
        let state = self.session(&snapshot, settings, &working.memory, &working.control, length)?.state();
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
        let sleep = Box::pin(clock::sleep_until(clock.deadline));
        let clock = clock.clone();
        let batches = Batches { answered, sleep, clock, has_ended: false, _wanted: wanted, _work: work };
        Ok(Answer { schema, as_of: snapshot.as_of(), batches, snapshot })
    }

    /// Waits for a permit among those of all queries.
    async fn turn(&self, shared: &SharedTurn, clock: &QueryClock) -> Result<TurnPermit, QueryError> {
        if shared.is_free()
            && let Some(turn) = shared.held().upgrade()
        {
            return Ok(turn);
        }
        match timeout_at(clock.deadline, Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(turn)) => {
                let turn = Arc::new(turn);
                *shared.held() = Arc::downgrade(&turn);
                Ok(turn)
            }
            Ok(Err(_)) => Err(QueryError::new(Reason::NotReady, "the server is shutting down")),
            Err(_) => Err(QueryError::no_turn(clock.limit, self.config.max_queries.max(1))),
        }
    }

    /// The tables of the statement, in its own words.
    fn reads(&self, statement: &DfStatement) -> Vec<String> {
        let tables = self.template.state_ref().read().resolve_table_references(statement).unwrap_or_default();
        tables.iter().map(|table| table.to_string()).collect()
    }

    /// Adds a hint to the error of an unknown table: the meaning of its name, or a similar name.
    pub(crate) fn with_table_hint(&self, error: QueryError) -> QueryError {
        if error.reason != Reason::UndefinedTable || error.hint.is_some() {
            return error;
        }
        let Some(table) = error.message.split('\'').nth(1).and_then(|path| path.rsplit('.').next()) else {
            return error;
        };
        let (layers, lookups) = (&self.layers, &self.tables.lookups);
        let hint = match layers.streams.iter().any(|stream| stream.name.as_str() == table) {
            true => {
                format!("a stream is not a table: its landed records are in `raw.{table}`, and views read the rest")
            }
            false => {
                let known = layers.views.iter().map(|view| view.name().as_str());
                match nearest(table, known.chain(lookups.names().map(String::as_str))) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => return error,
                }
            }
        };
        error.with_hint(hint)
    }

    /// The shorter of the session's and the server's time limit, and its setting.
    fn limit(&self, settings: &Settings) -> (Duration, &'static str) {
        let most = self.config.query_timeout;
        match settings.timeout.filter(|asked| *asked < most) {
            Some(asked) => (asked, "statement_timeout"),
            None => (most, "query.timeout"),
        }
    }
}
