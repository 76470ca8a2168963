//! Where the segments of a run are folded. All runs go through [`FoldEngine`], so that a second engine, on other
//! machines, has one place to stand.

use std::sync::Arc;

use datafusion::execution::context::SessionContext;
use datafusion::prelude::SessionConfig;
use dovetail_core::manifest::ViewStates;
use dovetail_core::pipeline::Stream;
use dovetail_core::store::Store;

use super::RunError;
use super::choose_cut::ViewFoldPlan;
use super::fold::fold_view;
use super::progress::Reporter;
use super::state_files::Output;

/// Folds segments into states: in this process, with DataFusion, on so many cores.
pub(crate) struct FoldEngine {
    context: SessionContext,
    cores: usize,
}

impl FoldEngine {
    /// An engine of this process, which reads segments from `store`.
    pub(crate) fn local(store: &Store, cores: usize) -> Self {
        let mut config = SessionConfig::new().with_target_partitions(cores.max(1));
        // The columns read must have the types that the views were planned with.
        config.options_mut().execution.parquet.schema_force_view_types = false;
        config.options_mut().execution.time_zone = Some("UTC".to_owned());
        let context = SessionContext::new_with_config(config);
        dovetail_core::functions::install(&context);
        store.register(&context.runtime_env());
        Self { context, cores }
    }

    /// Folds the segments of `plan` on top of its base, and writes the states to `output`. Dropping the future stops
    /// the work.
    ///
    /// # Errors
    /// When a segment cannot be read, a record fails that stops its view, or the store does not take a file.
    pub(crate) async fn fold(
        &self,
        plan: &ViewFoldPlan,
        stream: &Arc<Stream>,
        output: &Output<'_>,
        reporter: &Reporter,
    ) -> Result<ViewStates, RunError> {
        fold_view(plan, stream, output, &self.context, self.cores, reporter).await
    }
}
