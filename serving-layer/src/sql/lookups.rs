//! The pipeline's lookups, as tables that queries can join.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::execution::context::SessionContext;
use dovetail_core::pipeline::Stream;
use dovetail_core::view::Planned;

use crate::error::{QueryError, Reason};

/// Lookup tables by name.
#[derive(Debug)]
pub(crate) struct Lookups(BTreeMap<String, Arc<dyn TableProvider>>);

impl Lookups {
    /// The tables of the planner's context that are neither streams nor views.
    pub(crate) async fn take(
        context: &SessionContext,
        streams: &[Arc<Stream>],
        views: &[Planned],
    ) -> Result<Self, QueryError> {
        let mut tables = BTreeMap::new();
        let state = context.state();
        let default = &state.config_options().catalog;
        let schema =
            state.catalog_list().catalog(&default.default_catalog).and_then(|c| c.schema(&default.default_schema));
        let Some(schema) = schema else {
            return Err(QueryError::new(Reason::Internal, "the planner's context has no default schema"));
        };
        for name in schema.table_names() {
            let is_stream = streams.iter().any(|stream| stream.name.as_str() == name);
            let is_view = views.iter().any(|view| view.name().as_str() == name);
            if !is_stream
                && !is_view
                && let Some(table) = schema.table(&name).await?
            {
                tables.insert(name, table);
            }
        }
        Ok(Self(tables))
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.0.keys()
    }

    pub(crate) fn get(&self, name: &str) -> Option<Arc<dyn TableProvider>> {
        self.0.get(name).cloned()
    }
}
