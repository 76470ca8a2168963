//! The context in which statements are planned, without a snapshot: made once, copied for each query.

use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::SessionConfig;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::setup_pg_catalog;
use dovetail_core::functions::guard::{Allowance, OfViews, guarded};

use crate::error::QueryError;
use crate::sql::pg_functions;
use crate::sql::schemas::{CATALOG, Catalogs, PUBLIC};
use crate::sql::tables::Tables;

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
pub(crate) async fn template(tables: &Arc<Tables>) -> Result<SessionContext, QueryError> {
    let no_spilling = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new().with_disk_manager_builder(no_spilling).build_arc()?;
    tables.layers.store.register(&runtime);
    let state = SessionStateBuilder::new_with_default_features()
        .with_config(config())
        .with_runtime_env(runtime)
        .with_catalog_list(Arc::new(Catalogs::unpinned(tables)))
        .build();
    let context = dovetail_core::sql::installed(state);
    setup_pg_catalog(&context, CATALOG, EmptyContextProvider).map_err(|error| QueryError::from(*error))?;
    pg_functions::register(&context, &tables.layers.views).await?;
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
