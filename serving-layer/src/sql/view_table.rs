//! A view's finished states as a table, with filters on groups and unread columns left out before the merge.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use dovetail_core::view::View;

use crate::error::{QueryError, Reason};
use crate::snapshot::Snapshot;
use crate::snapshot::generation::Filled;
use crate::sql::view_scan::{ScanInput, ViewScanExec, group_schema};

/// The layers whose states are finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Layer {
    Merged,
    Batch,
    Speed,
}

/// The table of one view's finished states.
#[derive(Debug)]
pub(crate) struct ViewScanTable {
    view: Arc<View>,
    layer: Layer,
    /// The snapshot; `None` where only schemas are needed.
    snapshot: Option<Arc<Snapshot>>,
}

impl ViewScanTable {
    pub(crate) fn new(view: &Arc<View>, layer: Layer, snapshot: Option<&Arc<Snapshot>>) -> Self {
        Self { view: Arc::clone(view), layer, snapshot: snapshot.cloned() }
    }

    /// Reads the states that the query will merge; every wait for other layers happens here.
    async fn source(&self, snapshot: &Snapshot) -> Result<ScanInput, QueryError> {
        let (states, realtime_part) = match self.layer {
            Layer::Merged => {
                let realtime_part = snapshot.realtime_part(&self.view).await?;
                (Some(snapshot.states(&self.view).await?), Some(realtime_part))
            }
            Layer::Batch => {
                if let Filled::Nothing = snapshot.served.filled(&self.view) {
                    let message = format!("view `{}` has no batch states: nothing is published yet", self.view.name);
                    return Err(QueryError::new(Reason::NotReady, message).with_hint("run `dovetail recompute`"));
                }
                (Some(snapshot.states(&self.view).await?), None)
            }
            Layer::Speed => (None, Some(snapshot.realtime_part(&self.view).await?)),
        };
        Ok(ScanInput { layers: Arc::clone(&snapshot.layers), view: Arc::clone(&self.view), states, realtime_part })
    }

    /// The filters as one expression over the leading columns of a state.
    fn state_filter(&self, session: &dyn Session, filters: &[Expr]) -> Result<Option<Arc<dyn PhysicalExpr>>> {
        let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(None) };
        let schema = DFSchema::try_from(group_schema(&self.view))?;
        // The scan's filters have its table's name, the schema does not.
        let filter = datafusion::logical_expr::utils::split_conjunction_owned(filter)
            .into_iter()
            .map(without_qualifiers)
            .collect::<Result<Vec<_>>>()?;
        conjunction(filter).map(|filter| session.create_physical_expr(filter, &schema)).transpose()
    }
}

fn without_qualifiers(filter: Expr) -> Result<Expr> {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let stripped = filter.transform(|expr| match expr {
        Expr::Column(column) => {
            Ok(Transformed::yes(Expr::Column(datafusion::common::Column::new_unqualified(column.name))))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(stripped.data)
}

#[async_trait]
impl TableProvider for ViewScanTable {
    fn schema(&self) -> SchemaRef {
        self.view.leaf_schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        let groups = group_schema(&self.view);
        let on_groups = |filter: &&Expr| {
            let columns = filter.column_refs();
            let known = columns.iter().all(|column| groups.column_with_name(&column.name).is_some());
            !columns.is_empty() && known && !filter.is_volatile() && !has_subquery(filter)
        };
        let pushdown = |filter: &&Expr| match on_groups(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(pushdown).collect())
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(snapshot) = &self.snapshot else {
            return Err(QueryError::new(Reason::Internal, "a schema was scanned without a snapshot").into());
        };
        let filter = self.state_filter(session, filters)?;
        let source = self.source(snapshot).await?;
        Ok(Arc::new(ViewScanExec::new(source, projection, filter, limit)?))
    }
}

fn has_subquery(filter: &Expr) -> bool {
    use datafusion::common::tree_node::TreeNode;
    filter
        .exists(|expr| Ok(matches!(expr, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_))))
        .unwrap_or(true)
}
