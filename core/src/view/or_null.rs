//! `on_error = 'null'`: expressions that are NULL where their evaluation fails.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Schema};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_plan::aggregates::PhysicalGroupBy;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};

use super::evaluate::{caught_now, is_of_a_row};

/// `inner`, or NULL in the rows where it fails.
#[derive(Debug, Clone)]
struct OrNull {
    inner: Arc<dyn PhysicalExpr>,
}

impl PartialEq for OrNull {
    fn eq(&self, other: &Self) -> bool {
        self.inner.eq(&other.inner)
    }
}

impl Eq for OrNull {}

impl Hash for OrNull {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.inner.hash(state);
    }
}

impl fmt::Display for OrNull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.inner)
    }
}

impl PhysicalExpr for OrNull {
    fn data_type(&self, input: &Schema) -> Result<DataType> {
        self.inner.data_type(input)
    }

    fn nullable(&self, _input: &Schema) -> Result<bool> {
        Ok(true)
    }

    fn evaluate(&self, rows: &RecordBatch) -> Result<ColumnarValue> {
        match caught_now(|| self.inner.evaluate(rows)) {
            Err(error) if is_of_a_row(&error) => Ok(ColumnarValue::Array(self.row_by_row(rows)?)),
            value => value,
        }
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.inner]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn PhysicalExpr>>) -> Result<Arc<dyn PhysicalExpr>> {
        match children.pop() {
            Some(inner) if children.is_empty() => Ok(Arc::new(Self { inner })),
            _ => internal_err!("an expression that is NULL where it fails has one child"),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt_sql(f)
    }
}

impl OrNull {
    /// Halves `rows` until each part succeeds or is one row.
    fn row_by_row(&self, rows: &RecordBatch) -> Result<ArrayRef> {
        let mut parts: Vec<ArrayRef> = vec![];
        let mut open = vec![(0, rows.num_rows())];
        while let Some((from, n)) = open.pop() {
            let part = rows.slice(from, n);
            match caught_now(|| self.inner.evaluate(&part)?.into_array(n)) {
                Ok(values) => parts.push(values),
                Err(error) if !is_of_a_row(&error) => return Err(error),
                Err(_) if n <= 1 => parts.push(new_null_array(&self.data_type(&rows.schema())?, n)),
                Err(_) => open.extend([(from + n / 2, n - n / 2), (from, n / 2)]),
            }
        }
        let parts: Vec<_> = parts.iter().map(AsRef::as_ref).collect();
        Ok(concat(&parts)?)
    }
}

/// `expr` with NULL for every part that fails.
pub(super) fn expr_or_null(expr: &Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    let wrapped = Arc::clone(expr).transform_up(|part| match part.is::<Column>() || part.is::<Literal>() {
        true => Ok(Transformed::no(part)),
        false => Ok(Transformed::yes(Arc::new(OrNull { inner: part }) as _)),
    });
    wrapped.data()
}

/// The same for every projection and filter of `plan`. Conditions of joins stay as they are.
pub(super) fn plan_or_null(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let wrapped = plan.transform_up(|node| {
        if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
            let mut exprs = vec![];
            for ProjectionExpr { expr, alias } in projection.expr() {
                exprs.push(ProjectionExpr { expr: expr_or_null(expr)?, alias: alias.clone() });
            }
            let wrapped = ProjectionExec::try_new(exprs, Arc::clone(projection.input()))?;
            return Ok(Transformed::yes(Arc::new(wrapped) as _));
        }
        if let Some(filter) = node.downcast_ref::<FilterExec>() {
            let wrapped = FilterExecBuilder::new(expr_or_null(filter.predicate())?, Arc::clone(filter.input()))
                .apply_projection_by_ref(filter.projection().as_ref())?
                .with_batch_size(filter.batch_size())
                .build()?;
            return Ok(Transformed::yes(Arc::new(wrapped) as _));
        }
        Ok(Transformed::no(node))
    });
    wrapped.data()
}

/// The same for group expressions.
pub(super) fn groups_or_null(groups: &PhysicalGroupBy) -> Result<PhysicalGroupBy> {
    let mut exprs = vec![];
    for (expr, name) in groups.expr() {
        exprs.push((expr_or_null(expr)?, name.clone()));
    }
    let (nulls, sets) = (groups.null_expr().to_vec(), groups.groups().to_vec());
    Ok(PhysicalGroupBy::new(exprs, nulls, sets, groups.has_grouping_set()))
}
