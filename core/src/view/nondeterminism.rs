//! Answers that the rows alone do not decide: the order of rows that ORDER BY puts level, and the order in which
//! doubles are added above the cut. Two foldings of the same rows may then answer differently, and both are right, so
//! `check` warns and `verify` compares the states below.

use datafusion::logical_expr::expr::{Sort, WindowFunction};
use datafusion::logical_expr::{
    Aggregate, Expr, Limit, LogicalPlan, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
};

use super::exactness::{Exactness, function};
use super::order::{ORDERED, is_set};
use crate::record::column::{OFFSET, PARTITION};

/// The undecided parts of the nodes of `plan` above the node at `cut`, which is not included.
pub(super) fn above(plan: &LogicalPlan, cut: *const LogicalPlan) -> Vec<String> {
    let mut found = vec![];
    collect(plan, cut, &mut found);
    found
}

fn collect(plan: &LogicalPlan, cut: *const LogicalPlan, found: &mut Vec<String>) {
    if std::ptr::eq(plan, cut) {
        return;
    }
    found.extend(of_node(plan).or_else(|| of_sketches(plan)));
    for input in plan.inputs() {
        collect(input, cut, found);
    }
}

/// The undecided part of this one node, if any.
pub(super) fn of_node(plan: &LogicalPlan) -> Option<String> {
    match plan {
        LogicalPlan::Limit(limit) => (!is_decided(limit)).then(|| {
            "LIMIT without an ORDER BY that tells all rows apart takes any of those that are level".to_owned()
        }),
        LogicalPlan::Window(window) => window.window_expr.iter().find_map(|expr| {
            let call = window_function(expr)?;
            let level = depends_on_level_rows(call) && !orders_all(call, &window.input);
            level.then(|| format!("`{}() OVER` depends on the order of rows that its ORDER BY puts level", name(call)))
        }),
        LogicalPlan::Aggregate(aggregate) => of_ordered(aggregate),
        _ => None,
    }
}

/// Reports sums of doubles, which differ in their last digits when they are added in another order.
fn of_sketches(plan: &LogicalPlan) -> Option<String> {
    let text = |name: &str| Some(format!("`{name}()` above the aggregate takes its rows in no fixed order"));
    match plan {
        LogicalPlan::Window(window) => window.window_expr.iter().find_map(|expr| {
            let call = window_function(expr)?;
            let WindowFunctionDefinition::AggregateUDF(function) = &call.fun else { return None };
            let inexact = is_inexact(function.name());
            if inexact && !orders_all(call, &window.input) { text(function.name()) } else { None }
        }),
        LogicalPlan::Aggregate(aggregate) => aggregate.aggr_expr.iter().find_map(|expr| {
            let function = function(expr)?;
            let name = function.func.name();
            if is_inexact(name) { text(name) } else { None }
        }),
        _ => None,
    }
}

fn is_inexact(name: &str) -> bool {
    Exactness::of_function(name) != Exactness::Bits
}

fn of_ordered(aggregate: &Aggregate) -> Option<String> {
    let open = aggregate.aggr_expr.iter().filter_map(function).find(|function| {
        let (name, params) = (function.func.name(), &function.params);
        let sorts: Vec<&Expr> = params.order_by.iter().map(|sort| &sort.expr).collect();
        let set = is_set(name) && params.distinct && !params.order_by.is_empty();
        name == "any_value" || (ORDERED.contains(&name) && !set && !tell_apart(&sorts, &aggregate.input))
    })?;
    Some(format!("`{}()` depends on the order of rows that its ORDER BY puts level", open.func.name()))
}

fn is_decided(limit: &Limit) -> bool {
    let mut below = limit.input.as_ref();
    loop {
        match below {
            LogicalPlan::Projection(projection) => below = &projection.input,
            LogicalPlan::SubqueryAlias(alias) => below = &alias.input,
            LogicalPlan::Sort(sort) => {
                let sorts: Vec<&Expr> = sort.expr.iter().map(|sort| &sort.expr).collect();
                return tell_apart(&sorts, &sort.input);
            }
            other => return other.max_rows().is_some_and(|rows| rows <= 1),
        }
    }
}

/// Whether rows of `input` with equal `columns` are equal all over.
fn tell_apart(columns: &[&Expr], input: &LogicalPlan) -> bool {
    let schema = input.schema();
    let indices: Vec<usize> = columns
        .iter()
        .filter_map(|expr| match expr {
            Expr::Column(column) => schema.maybe_index_of_column(column),
            _ => None,
        })
        .collect();
    let is_there = |index: usize| indices.contains(&index);
    let width = schema.fields().len();
    let key = |key: &[usize]| !key.is_empty() && key.iter().all(|&index| is_there(index));
    let unique = schema.functional_dependencies().iter().any(|dependence| {
        let all = dependence.target_indices.len() >= width;
        dependence.mode == datafusion::common::Dependency::Single && all && key(&dependence.source_indices)
    });
    let named = |name: &str| (0..width).any(|i| is_there(i) && schema.field(i).name() == name);
    let of_record = named(PARTITION) && named(OFFSET) && is_row_per_record(input);
    unique || of_record || (0..width).all(is_there) || input.max_rows().is_some_and(|rows| rows <= 1)
}

/// Whether each record of the stream gives at most one row of `plan`.
fn is_row_per_record(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::TableScan(_) => true,
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Window(_) => plan.inputs().into_iter().all(is_row_per_record),
        _ => false,
    }
}

fn window_function(expr: &Expr) -> Option<&WindowFunction> {
    match expr {
        Expr::WindowFunction(function) => Some(function),
        Expr::Alias(alias) => window_function(&alias.expr),
        _ => None,
    }
}

fn name(call: &WindowFunction) -> &str {
    call.fun.name()
}

fn orders_all(call: &WindowFunction, input: &LogicalPlan) -> bool {
    let sorts = call.params.order_by.iter().map(|Sort { expr, .. }| expr);
    let columns: Vec<&Expr> = call.params.partition_by.iter().chain(sorts).collect();
    tell_apart(&columns, input)
}

/// Whether the function's answer depends on the order of rows that its ORDER BY puts level, or of all rows without one.
fn depends_on_level_rows(call: &WindowFunction) -> bool {
    match &call.fun {
        WindowFunctionDefinition::WindowUDF(function) => {
            !matches!(function.name(), "rank" | "dense_rank" | "percent_rank" | "cume_dist")
        }
        WindowFunctionDefinition::AggregateUDF(function) => {
            ORDERED.contains(&function.name()) || cuts_between_rows(&call.params.window_frame)
        }
    }
}

/// Whether the frame counts single rows: `ROWS` does; `RANGE` and `GROUPS` take level rows together.
fn cuts_between_rows(frame: &WindowFrame) -> bool {
    let unbounded = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::Preceding(rows) | WindowFrameBound::Following(rows) => rows.is_null(),
        WindowFrameBound::CurrentRow => false,
    };
    let whole = unbounded(&frame.start_bound) && unbounded(&frame.end_bound);
    frame.units == WindowFrameUnits::Rows && !whole
}
