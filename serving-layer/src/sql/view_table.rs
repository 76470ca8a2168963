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
use crate::snapshot::Pin;
use crate::snapshot::generation::Filled;
use crate::sql::view_scan::{LeafExec, Source, group_schema};

/// The layers whose states are finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Layer {
    Merged,
    Batch,
    Speed,
}

/// The table of one view's finished states.
#[derive(Debug)]
pub(crate) struct LeafTable {
    view: Arc<View>,
    layer: Layer,
    /// The snapshot; `None` where only schemas are needed.
    pin: Option<Arc<Pin>>,
}

impl LeafTable {
    pub(crate) fn new(view: &Arc<View>, layer: Layer, pin: Option<&Arc<Pin>>) -> Self {
        Self { view: Arc::clone(view), layer, pin: pin.cloned() }
    }

    /// Reads the states that the query will merge; every wait for other layers happens here.
    async fn source(&self, pin: &Pin) -> Result<Source, QueryError> {
        let (states, tail) = match self.layer {
            Layer::Merged => {
                let tail = pin.tail(&self.view).await?;
                (Some(pin.states(&self.view).await?), Some(tail))
            }
            Layer::Batch => {
                if let Filled::Nothing = pin.served.filled(&self.view) {
                    let message = format!("view `{}` has no batch states: nothing is published yet", self.view.name);
                    return Err(QueryError::new(Reason::NotReady, message).with_hint("run `dovetail recompute`"));
                }
                (Some(pin.states(&self.view).await?), None)
            }
            Layer::Speed => (None, Some(pin.tail(&self.view).await?)),
        };
        Ok(Source { layers: Arc::clone(&pin.layers), view: Arc::clone(&self.view), states, tail })
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
impl TableProvider for LeafTable {
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
        let Some(pin) = &self.pin else {
            return Err(QueryError::new(Reason::Internal, "a schema was scanned without a snapshot").into());
        };
        let filter = self.state_filter(session, filters)?;
        let source = self.source(pin).await?;
        Ok(Arc::new(LeafExec::new(source, projection, filter, limit)?))
    }
}

fn has_subquery(filter: &Expr) -> bool {
    use datafusion::common::tree_node::TreeNode;
    filter
        .exists(|expr| Ok(matches!(expr, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_))))
        .unwrap_or(true)
}
