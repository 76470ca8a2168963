//! The context of one query: a copy of the template with its snapshot, its settings and its memory.

use std::sync::Arc;

use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use dovetail_core::functions::guard::Guard;

use crate::error::QueryError;
use crate::memory::Pool;
use crate::serving::Serving;
use crate::snapshot::Snapshot;
use crate::sql::control::Control;
use crate::sql::schemas::Catalogs;
use crate::sql::settings::Settings;
use crate::sql::window_frames::Frames;

/// Rows of a batch for a short statement.
const ROWS: usize = 8192;
/// Bytes of a statement's text in one batch: each of its rows has a copy of a literal.
const TEXT_OF_A_BATCH: usize = 64 << 20;

impl Serving {
    /// A context for one query. The query's text has `length` bytes. The query reads `snapshot`, takes its memory from
    /// `memory`, and ends when `control` says so.
    pub(crate) fn session(
        &self,
        snapshot: &Arc<Snapshot>,
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
            .with_catalog_list(Arc::new(names.pinned(snapshot, Arc::new(template))));
        Ok(SessionContext::new_with_state(builder.build()))
    }

    fn names(&self) -> Catalogs {
        let state = self.template.state_ref();
        let list = Arc::clone(state.read().catalog_list());
        let any: &dyn std::any::Any = list.as_ref();
        any.downcast_ref::<Catalogs>().cloned().unwrap_or_else(|| Catalogs::unpinned(&self.tables))
    }
}
