//! The context in which statements are planned: one template, and a copy of it for each query.

use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::SessionConfig;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::setup_pg_catalog;
use dovetail_core::functions::guard::{Allowance, Guard, OfViews, guarded};
use dovetail_core::name::Generation;

use crate::error::QueryError;
use crate::memory::Pool;
use crate::serving::{Inner, Serving};
use crate::snapshot::Pin;
use crate::sql::control::Control;
use crate::sql::pg_functions;
use crate::sql::query::SharedTurn;
use crate::sql::schemas::{CATALOG, Catalogs, PUBLIC};
use crate::sql::window_frames::Frames;

/// A session's settings for its statements.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// The schema of names without one; `public` by default.
    pub(crate) schema: Option<String>,
    pub(crate) time_zone: Option<String>,
    pub(crate) timeout: Option<std::time::Duration>,
    /// Whether to answer also while partitions are missing, and to name them.
    pub(crate) partial: bool,
    /// The generation to read; the served one by default.
    pub(crate) generation: Option<Generation>,
    /// The permit of the connection, or else of one statement.
    pub(crate) turn: SharedTurn,
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG, PUBLIC)
        .with_information_schema(true);
    let options = config.options_mut();
    options.sql_parser.collect_spans = true;
    // `TIMESTAMP WITH TIME ZONE` is a time in this zone; without one it would lose its own.
    options.execution.time_zone = Some("UTC".to_owned());
    options.sql_parser.map_string_types_to_utf8view = false;
    options.execution.parquet.schema_force_view_types = false;
    // A finished view is small: distributing it over the cores costs more than it saves.
    options.optimizer.enable_round_robin_repartition = false;
    config
}

/// The context without a snapshot: it plans and describes, and cannot run anything.
pub(crate) async fn template(inner: &Arc<Inner>) -> Result<SessionContext, QueryError> {
    let no_spilling = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new().with_disk_manager_builder(no_spilling).build_arc()?;
    inner.store.register(&runtime);
    let state = SessionStateBuilder::new_with_default_features()
        .with_config(config())
        .with_runtime_env(runtime)
        .with_catalog_list(Arc::new(Catalogs::unpinned(inner)))
        .build();
    let context = dovetail_core::sql::installed(state);
    setup_pg_catalog(&context, CATALOG, EmptyContextProvider).map_err(|error| QueryError::from(*error))?;
    pg_functions::register(&context, &inner.views).await?;
    guard_functions(&context);
    Ok(context)
}

/// Guards functions that are computed while a statement is planned, such as arguments of table functions.
fn guard_functions(context: &SessionContext) {
    let allowance: Arc<dyn Allowance> = Arc::new(OfViews);
    for function in context.state().scalar_functions().values() {
        context.register_udf(guarded(Arc::clone(function), &allowance).as_ref().clone());
    }
}

/// Rows of a batch for a short statement.
const ROWS: usize = 8192;
/// Bytes of a statement's text in one batch: each of its rows has a copy of a literal.
const TEXT_OF_A_BATCH: usize = 64 << 20;

impl Serving {
    /// A context for one query of `characters` characters that reads `pin`, takes its memory from `memory` and ends
    /// when `control` says so.
    pub(crate) fn session(
        &self,
        pin: &Arc<Pin>,
        settings: &Settings,
        memory: &Arc<Pool>,
        control: &Arc<Control>,
        length: usize,
    ) -> Result<SessionContext, QueryError> {
        let template = self.template.state();
        let runtime = RuntimeEnvBuilder::from_runtime_env(template.runtime_env())
            .with_memory_pool(memory.shared())
            .build_arc()?;
        let mut config = template.config().clone();
        config = config.with_batch_size((TEXT_OF_A_BATCH / length.max(1)).clamp(16, ROWS));
        if let Some(schema) = &settings.schema {
            config.options_mut().catalog.default_schema.clone_from(schema);
        }
        if let Some(zone) = &settings.time_zone {
            config.options_mut().execution.time_zone = Some(zone.clone());
        }
        let names = self.names();
        let builder = SessionStateBuilder::new_from_existing(template.clone())
            .with_config(config)
            .with_runtime_env(runtime)
            .with_analyzer_rule(Arc::new(Guard(Arc::<Control>::clone(control))))
            .with_analyzer_rule(Arc::new(Frames(Arc::clone(control))))
            .with_catalog_list(Arc::new(names.pinned(pin, Arc::new(template))));
        Ok(SessionContext::new_with_state(builder.build()))
    }

    fn names(&self) -> Catalogs {
        let state = self.template.state_ref();
        let list = Arc::clone(state.read().catalog_list());
        let any: &dyn std::any::Any = list.as_ref();
        any.downcast_ref::<Catalogs>().cloned().unwrap_or_else(|| Catalogs::unpinned(&self.inner))
    }
}
