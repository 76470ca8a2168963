//! The SQL of views and of queries: DataFusion's, changed to PostgreSQL's answers where they differ.
//!
//! ```text
//! text -> statement    rewrite            clauses and operators in terms that DataFusion knows, or refused
//!                      literals           numbers and times that it would read as other values
//!                      duplicate_columns  columns that have the same name
//! -> plan              operators          operators whose result depends on the types of their operands
//!                      relations          relations in FROM that are no tables
//! -> checked plan      scalar_subquery    subqueries that may give one row
//!                      microseconds       times that DataFusion counts in nanoseconds
//!                      cast               casts
//! -> answer            functions          the other files
//! ```
//! Both layers, serving and every oracle of a test go through [`installed`] and [`plan`], so a view means the same
//! everywhere.

mod age;
mod arrays;
mod cast;
mod digits;
mod division;
mod duplicate_columns;
mod extract;
mod function;
mod interval;
mod literals;
mod microseconds;
mod now;
mod operators;
mod relations;
mod rewrite;
mod scalar_functions;
mod scalar_subquery;
mod seconds;
mod series;
mod strings;
mod syntax;
mod text;
mod to_char;
mod width_bucket;
mod wrapped_function;
mod zone;
mod zoned;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, Result};
use datafusion::execution::context::SessionContext;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::expr::{Placeholder, ScalarFunction};
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, ScalarUDF};
use datafusion::optimizer::AnalyzerRule;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;

use self::microseconds::Microseconds;
use crate::functions;
use crate::view::register_mended_functions;

pub use cast::in_calendar;
pub use duplicate_columns::{marked, unmarked};
pub use rewrite::rewritten;
pub use syntax::RefusedClause;

/// Number of times that the meaning of SQL has changed: states of different meanings never meet.
pub const MEANING: &str = "4";

/// A context with this SQL.
pub fn context(config: SessionConfig) -> SessionContext {
    installed(SessionStateBuilder::new_with_default_features().with_config(config).build())
}

/// A context of `state` with this SQL, in which views and queries mean the same.
pub fn installed(state: SessionState) -> SessionContext {
    let context = SessionContext::new_with_state(extended(state));
    functions::install(&context);
    register_mended_functions(&context);
    context
}

/// `state` with the functions and rules of this SQL.
fn extended(state: SessionState) -> SessionState {
    let mut planners: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(operators::Operators)];
    planners.extend(state.expr_planners().iter().cloned());
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> =
        vec![Arc::new(scalar_subquery::SingleRows), Arc::new(Microseconds::BeforeCoercion)];
    rules.extend(state.analyzer().rules.iter().cloned());
    rules.push(Arc::new(Microseconds::AfterCoercion));
    rules.push(Arc::new(cast::Casts));
    let mut builder = SessionStateBuilder::new_from_existing(state)
        .with_expr_planners(planners)
        .with_relation_planners(vec![Arc::new(relations::Relations)])
        .with_analyzer_rules(rules);
    // They replace functions also under their other names: a copy of this state registers all functions again, in no
    // order.
    let functions = builder.scalar_functions().get_or_insert_default();
    for function in scalar_functions() {
        functions.retain(|other| other.name() != function.name());
        functions.push(match function.name() {
            "array_length" => Arc::new(function.as_ref().clone().with_aliases(["list_length"])),
            "array_remove" => Arc::new(function.as_ref().clone().with_aliases(["list_remove"])),
            _ => function,
        });
    }
    series::wrap(builder.table_functions().get_or_insert_default());
    builder.build()
}

fn scalar_functions() -> Vec<Arc<ScalarUDF>> {
    let mut functions = vec![
        age::age(),
        arrays::array_length(),
        arrays::array_remove(),
        division::divide(),
        extract::date_part(),
        interval::divided(),
        interval::interval_key(),
        interval::multiplied(),
        now::now(),
        seconds::to_timestamp(),
        scalar_functions::isfinite(),
        scalar_functions::make_timestamp(),
        scalar_functions::round(),
        scalar_functions::sign(),
        strings::bpchar(),
        strings::chr(),
        strings::similar_to_regex(),
        strings::varchar(),
        to_char::to_char(),
        width_bucket::width_bucket(),
        zoned::AtTimeZone::udf(),
        zoned::date_bin(),
        zoned::date_trunc(),
        zoned::minus(),
        zoned::plus(),
    ];
    functions.extend(interval::justify());
    functions.extend(arrays::quantified());
    functions
}

/// Plans the statement `sql` of a view.
///
/// # Errors
/// When the statement is wrong or refused.
pub async fn plan(state: &SessionState, sql: &str) -> Result<LogicalPlan> {
    let dialect = state.config_options().sql_parser.dialect;
    let statement = match state.sql_to_statement(sql, &dialect)? {
        Statement::Statement(statement) => {
            let statement = rewritten(*statement).map_err(|refused| DataFusionError::Plan(refused.to_string()))?;
            Statement::Statement(Box::new(statement))
        }
        other => other,
    };
    Box::pin(state.statement_to_plan(statement)).await
}

/// `plan` with types for parameters that stand for arrays: in `x = ANY($1)` it is an array of the type of `x`.
pub fn with_array_parameters(plan: LogicalPlan) -> Result<LogicalPlan> {
    let in_node = |plan: LogicalPlan| {
        let mut schema = DFSchema::empty();
        for input in plan.inputs() {
            schema.merge(input.schema());
        }
        plan.map_expressions(|expr| expr.transform_up(|expr| with_array_parameter(expr, &schema)))
    };
    plan.transform_up_with_subqueries(in_node).map(|changed| changed.data)
}

fn with_array_parameter(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = &expr else { return Ok(Transformed::no(expr)) };
    let [left, Expr::Placeholder(Placeholder { id, field: None })] = args.as_slice() else {
        return Ok(Transformed::no(expr));
    };
    if !arrays::is_quantified(func) {
        return Ok(Transformed::no(expr));
    }
    let Ok(element) = left.get_type(schema) else { return Ok(Transformed::no(expr)) };
    let list = DataType::List(Arc::new(Field::new_list_field(element, true)));
    let parameter = Placeholder::new_with_field(id.clone(), Some(Arc::new(Field::new("", list, true))));
    let arguments = vec![left.clone(), Expr::Placeholder(parameter)];
    Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(func), arguments))))
}
