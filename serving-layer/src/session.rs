//! The context in which statements are planned: one template, and a copy of it for each query.

use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::SessionConfig;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::setup_pg_catalog;
use dovetail_core::name::Generation;

use crate::error::QueryError;
use crate::functions;
use crate::memory::Pool;
use crate::query::SharedTurn;
use crate::schema::{CATALOG, Catalogs, PUBLIC};
use crate::serving::{Inner, Serving};
use crate::snapshot::Pin;

/// What a session has set for its statements.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// Where names without a schema are looked for; `public` when none is set.
    pub(crate) schema: Option<String>,
    pub(crate) time_zone: Option<String>,
    pub(crate) timeout: Option<std::time::Duration>,
    /// Answer also while partitions are missing, and say which.
    pub(crate) partial: bool,
    /// As of which generation; of the one that is served when none is set.
    pub(crate) generation: Option<Generation>,
    /// Of one statement, where nothing else is set.
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
    // A finished view is small: spreading it over the cores costs more than it saves.
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
    functions::register(&context, &inner.views).await?;
    Ok(context)
}

impl Serving {
    /// A context for one query, which sees `pin` and takes its memory from `memory`.
    pub(crate) fn session(
        &self,
        pin: &Arc<Pin>,
        settings: &Settings,
        memory: &Arc<Pool>,
    ) -> Result<SessionContext, QueryError> {
        let template = self.template.state();
        let runtime = RuntimeEnvBuilder::from_runtime_env(template.runtime_env())
            .with_memory_pool(memory.shared())
            .build_arc()?;
        let mut config = template.config().clone();
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
