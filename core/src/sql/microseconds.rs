//! Times count microseconds, as all of PostgreSQL's do: results that DataFusion counts in nanoseconds are cast.
//!
//! | nanoseconds of | become |
//! |---|---|
//! | a cast, also one that DataFusion adds to compare a time with a date or a text | a cast to microseconds |
//! | a literal | one of microseconds |
//! | a function's result: `to_timestamp_nanos`, `current_time` .. | cast |
//! | a column of a table that is not Dovetail's: `FROM generate_series(..)` | cast above it |
//!
//! Applied before types are coerced, so that they are coerced to the final types, and again afterwards. A function that
//! takes only nanoseconds gets them.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Schema, TimeUnit};
use datafusion::catalog::cte_worktable::CteWorkTable;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::logical_expr::expr::{Cast, ScalarFunction, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, Projection, TableScan, TableScanBuilder, Union, Values,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;

use crate::stored::in_microseconds;

/// The time at which the rule is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Microseconds {
    BeforeCoercion,
    AfterCoercion,
}

impl AnalyzerRule for Microseconds {
    fn name(&self) -> &str {
        match self {
            Self::BeforeCoercion => "microseconds",
            Self::AfterCoercion => "microseconds_of_coerced",
        }
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|plan| self.in_node(plan)).map(|changed| changed.data)
    }
}

impl Microseconds {
    fn in_node(self, plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let mut schema = DFSchema::empty();
        for input in plan.inputs() {
            schema.merge(input.schema());
        }
        if let LogicalPlan::TableScan(scan) = &plan {
            schema.merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?);
        }
        let names = NamePreserver::new(&plan);
        let changed = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            let changed = expr.transform_up(|expr| self.in_expr(expr, &schema))?;
            Ok(changed.update_data(|expr| name.restore(expr)))
        })?;
        // Also where nothing but the types of the inputs changed.
        match changed.data {
            LogicalPlan::TableScan(scan)
                if scan.projected_schema.fields().iter().any(|f| counts_nanos(f.data_type())) =>
            {
                Ok(Transformed::yes(held_scan(scan)?))
            }
            LogicalPlan::Union(Union { inputs, schema }) => {
                let schema = held(&schema)?;
                Ok(Transformed::yes(LogicalPlan::Union(Union { inputs, schema })))
            }
            LogicalPlan::Values(Values { schema, values }) => {
                let schema = held(&schema)?;
                Ok(Transformed::yes(LogicalPlan::Values(Values { schema, values })))
            }
            plan if changed.transformed || is_stale(&plan) => Ok(Transformed::yes(plan.recompute_schema()?)),
            plan => Ok(Transformed::no(plan)),
        }
    }

    fn in_expr(self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        match expr {
            Expr::Cast(Cast { expr, field }) if counts_nanos(field.data_type()) => {
                Ok(Transformed::yes(cast(*expr, &field, schema)))
            }
            Expr::Cast(Cast { expr, field }) if self == Self::AfterCoercion && is_span(field.data_type()) => {
                // Between a date and a time, which DataFusion counts in nanoseconds.
                let span = Expr::Cast(Cast::new_from_field(expr, field));
                Ok(Transformed::yes(Expr::Cast(Cast::new(Box::new(span), DataType::Duration(TimeUnit::Microsecond)))))
            }
            Expr::TryCast(TryCast { expr, field }) if counts_nanos(field.data_type()) => {
                Ok(Transformed::yes(Expr::TryCast(TryCast { expr, field: with_type(&field) })))
            }
            Expr::Literal(value, metadata) if counts_nanos(&value.data_type()) => {
                let value = literal(&value)?;
                Ok(Transformed::yes(Expr::Literal(value, metadata)))
            }
            Expr::OuterReferenceColumn(field, column) if counts_nanos(field.data_type()) => {
                Ok(Transformed::yes(Expr::OuterReferenceColumn(with_type(&field), column)))
            }
            Expr::ScalarFunction(call) => self.in_call(call, schema),
            other => Ok(Transformed::no(other)),
        }
    }

    fn in_call(self, call: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let (call, recast) = match self {
            Self::BeforeCoercion => (call, false),
            Self::AfterCoercion => coerced(call, schema)?,
        };
        let expr = Expr::ScalarFunction(call);
        // The type of a placeholder may not be known yet.
        match expr.get_type(schema) {
            Ok(returned) if counts_nanos(&returned) => {
                Ok(Transformed::yes(Expr::Cast(Cast::new(Box::new(expr), in_microseconds(&returned)))))
            }
            _ if recast => Ok(Transformed::yes(expr)),
            _ => Ok(Transformed::no(expr)),
        }
    }
}

/// `call` with its arguments cast to the types that it takes, and whether any was.
fn coerced(mut call: ScalarFunction, schema: &DFSchema) -> Result<(ScalarFunction, bool)> {
    let fields = call.args.iter().map(|argument| argument.to_field(schema).map(|(_, field)| field));
    let Ok(fields) = fields.collect::<Result<Vec<FieldRef>>>() else { return Ok((call, false)) };
    let Ok(wanted) = fields_with_udf(&fields, call.func.as_ref()) else { return Ok((call, false)) };
    let mut changed = false;
    for ((argument, field), wanted) in call.args.iter_mut().zip(&fields).zip(&wanted) {
        if field.data_type() != wanted.data_type() && counts_nanos(wanted.data_type()) {
            *argument = Expr::Cast(Cast::new(Box::new(argument.clone()), wanted.data_type().clone()));
            changed = true;
        }
    }
    Ok((call, changed))
}

/// A cast to microseconds, unless nothing needs one.
fn cast(expr: Expr, field: &FieldRef, schema: &DFSchema) -> Expr {
    let held = with_type(field);
    match expr.get_type(schema) {
        Ok(from) if from == *held.data_type() => expr,
        _ => Expr::Cast(Cast::new_from_field(Box::new(expr), held)),
    }
}

fn literal(value: &ScalarValue) -> Result<ScalarValue> {
    let array = value.to_array()?;
    let held = super::cast::casted(&array, &in_microseconds(&value.data_type()))?;
    ScalarValue::try_from_array(&held, 0)
}

/// Whether the type contains nanoseconds.
fn counts_nanos(data_type: &DataType) -> bool {
    in_microseconds(data_type) != *data_type
}

fn is_span(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Duration(TimeUnit::Nanosecond))
}

fn with_type(field: &FieldRef) -> FieldRef {
    Arc::new(field.as_ref().clone().with_data_type(in_microseconds(field.data_type())))
}

/// The rows of `scan`, under its names. A recursive query reads itself with its changed types.
fn held_scan(scan: TableScan) -> Result<LogicalPlan> {
    let provider = source_as_provider(&scan.source)?;
    match provider.downcast_ref::<CteWorkTable>() {
        Some(own) => {
            let fields = own.schema().fields().iter().map(with_type).collect::<Vec<_>>();
            let held = CteWorkTable::new(own.name(), Arc::new(Schema::new(fields)));
            let source = provider_as_source(Arc::new(held));
            let TableScan { table_name, projection, filters, fetch, .. } = scan;
            let scan = TableScanBuilder::new(table_name, source).with_projection(projection).with_filters(filters);
            Ok(LogicalPlan::TableScan(scan.with_fetch(fetch).build()?))
        }
        None => cast_above(LogicalPlan::TableScan(scan)),
    }
}

fn cast_above(scan: LogicalPlan) -> Result<LogicalPlan> {
    let columns = scan.schema().iter().map(|(relation, field)| {
        let column = Expr::Column(Column::new(relation.cloned(), field.name()));
        match counts_nanos(field.data_type()) {
            true => {
                let cast = Expr::Cast(Cast::new(Box::new(column), in_microseconds(field.data_type())));
                cast.alias_qualified(relation.cloned(), field.name())
            }
            false => column,
        }
    });
    let columns = columns.collect();
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(scan))?))
}

fn is_stale(plan: &LogicalPlan) -> bool {
    plan.schema().fields().iter().any(|field| counts_nanos(field.data_type()))
}

fn held(schema: &Arc<DFSchema>) -> Result<Arc<DFSchema>> {
    if !schema.fields().iter().any(|field| counts_nanos(field.data_type())) {
        return Ok(Arc::clone(schema));
    }
    let fields = schema.iter().map(|(qualifier, field)| (qualifier.cloned(), with_type(field))).collect();
    let held = DFSchema::new_with_metadata(fields, schema.metadata().clone())?;
    Ok(Arc::new(held.with_functional_dependencies(schema.functional_dependencies().clone())?))
}
