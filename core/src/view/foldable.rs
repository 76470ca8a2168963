//! What can be folded: walks a view's plan from the stream upwards and finds where fold ends and finish begins,
//! or says which clause stands in the way and what to write instead.

use std::collections::HashSet;

use datafusion::common::JoinType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, Volatility};

use super::exactness::function;
use super::split::scanned_tables;

/// Why a view cannot be folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub message: String,
    pub hint: String,
}

fn refuse<T>(message: impl Into<String>, hint: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal { message: message.into(), hint: hint.into() })
}

/// What a part of the plan is, seen from below.
#[derive(Debug)]
enum Part {
    /// Reads lookups or constants only.
    Static,
    /// Row by row over the stream: foldable so far.
    Rows,
    /// A cut was found in here. `blocked_by` is set when what stands on the rows is no aggregate.
    Cut { at: *const LogicalPlan, blocked_by: Option<&'static str> },
}

/// Where fold ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CutPoint {
    /// At this node, an [`Aggregate`].
    Aggregate(*const LogicalPlan),
    /// Below this node: what it reads are the rows of the view.
    Below(*const LogicalPlan),
    /// The whole plan is row by row.
    Top,
}

/// Finds the cut point of `plan`, a view over one of `streams`.
pub(super) fn cut_point(plan: &LogicalPlan, streams: &HashSet<String>) -> Result<CutPoint, Refusal> {
    let walk = Walk { streams };
    match walk.part(plan)? {
        Part::Static => refuse("the view reads no stream", "select from one of the pipeline's streams"),
        Part::Rows => Ok(CutPoint::Top),
        Part::Cut { at, blocked_by: None } => Ok(CutPoint::Aggregate(at)),
        Part::Cut { at, blocked_by: Some(_) } => Ok(CutPoint::Below(at)),
    }
}

struct Walk<'a> {
    streams: &'a HashSet<String>,
}

impl Walk<'_> {
    fn part(&self, plan: &LogicalPlan) -> Result<Part, Refusal> {
        self.no_stream_in_subqueries(plan)?;
        if let LogicalPlan::TableScan(scan) = plan {
            let stream = self.streams.contains(scan.table_name.table());
            return Ok(if stream { Part::Rows } else { Part::Static });
        }
        let inputs = plan.inputs();
        let mut parts = inputs.iter().map(|input| self.part(input)).collect::<Result<Vec<_>, _>>()?;
        let reading = parts.iter().filter(|part| !matches!(part, Part::Static)).count();
        match (reading, plan) {
            (0, _) => Ok(Part::Static),
            (1, _) => {
                let side = parts.iter().position(|part| !matches!(part, Part::Static)).unwrap_or(0);
                self.over_one(plan, side, parts.swap_remove(side))
            }
            (_, LogicalPlan::Union(_)) if parts.iter().all(|part| matches!(part, Part::Rows)) => Ok(Part::Rows),
            (_, LogicalPlan::Join(_)) if parts.iter().all(|part| matches!(part, Part::Rows)) => refuse(
                "a join of two streams cannot be folded: rows that belong together may lie on both sides of the cut",
                "make a view of each stream and join the views in the query, or join a lookup",
            ),
            _ => refuse(
                "two aggregates over streams in one view cannot be folded",
                "make a view of each and join them in the query",
            ),
        }
    }

    fn over_one(&self, plan: &LogicalPlan, side: usize, below: Part) -> Result<Part, Refusal> {
        match below {
            Part::Static => Ok(Part::Static),
            Part::Rows => over_rows(plan, side),
            Part::Cut { blocked_by: Some(what), .. }
                if matches!(plan, LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_)) =>
            {
                refuse(
                    format!("{what} below the aggregate cannot be folded: it depends on all rows at once"),
                    hint_below_aggregate(what),
                )
            }
            cut => Ok(cut),
        }
    }

    fn no_stream_in_subqueries(&self, plan: &LogicalPlan) -> Result<(), Refusal> {
        let mut found = None;
        let walked = plan.apply_expressions(|expr| {
            expr.apply(|expr| {
                let subquery = match expr {
                    Expr::Exists(e) => Some(&e.subquery),
                    Expr::InSubquery(e) => Some(&e.subquery),
                    Expr::ScalarSubquery(e) => Some(e),
                    Expr::SetComparison(e) => Some(&e.subquery),
                    _ => None,
                };
                if let Some(subquery) = subquery {
                    let tables = scanned_tables(&subquery.subquery)?;
                    found = found.take().or(tables.into_iter().find(|t| self.streams.contains(t.table())));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        });
        match (walked, found) {
            (Err(error), _) => refuse(error.strip_backtrace(), "simplify the expression"),
            (_, Some(table)) => refuse(
                format!("a subquery over the stream `{table}` cannot be folded"),
                "make a view of the subquery and compare with it in the query",
            ),
            (Ok(_), None) => Ok(()),
        }
    }
}

fn hint_below_aggregate(what: &str) -> &'static str {
    match what {
        "LIMIT" => "limit the view's result, above the aggregate",
        _ => "use the window function above the aggregate, or last_value(x ORDER BY _offset) per key",
    }
}

fn over_rows(plan: &LogicalPlan, side: usize) -> Result<Part, Refusal> {
    let below = |what| Ok(Part::Cut { at: std::ptr::from_ref(plan), blocked_by: Some(what) });
    match plan {
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::Unnest(_) => {
            no_volatile(plan)?;
            Ok(Part::Rows)
        }
        LogicalPlan::SubqueryAlias(_) | LogicalPlan::Subquery(_) => Ok(Part::Rows),
        LogicalPlan::Join(join) => {
            no_volatile(plan)?;
            keeps_only_stream_rows(join.join_type, side)
        }
        LogicalPlan::Aggregate(aggregate) => {
            no_volatile(plan)?;
            order_is_given(aggregate)?;
            Ok(Part::Cut { at: std::ptr::from_ref(plan), blocked_by: None })
        }
        LogicalPlan::Sort(_) => below("ORDER BY"),
        LogicalPlan::Limit(_) => below("LIMIT"),
        LogicalPlan::Window(_) => below("a window function"),
        LogicalPlan::Union(_) => refuse(
            "UNION of a stream with a lookup cannot be folded",
            "put the lookup's rows into the stream, or union in the query",
        ),
        other => refuse(
            format!("`{}` over a stream cannot be folded", other.display()),
            "use SELECT .. FROM .. WHERE .. GROUP BY .. HAVING .. ORDER BY .. LIMIT",
        ),
    }
}

/// An outer join that also keeps lookup rows without a match would keep them once per fold.
fn keeps_only_stream_rows(join: JoinType, stream_side: usize) -> Result<Part, Refusal> {
    let folds = match join {
        JoinType::Inner => true,
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => stream_side == 0,
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => stream_side == 1,
        JoinType::Full => false,
    };
    if folds {
        return Ok(Part::Rows);
    }
    refuse(
        format!("{join} join keeps lookup rows without a match, which no single row of the stream decides"),
        "join with the stream on the outer side: FROM stream LEFT JOIN lookup",
    )
}

fn no_volatile(plan: &LogicalPlan) -> Result<(), Refusal> {
    let mut found = None;
    let walked = plan.apply_expressions(|expr| {
        expr.apply(|expr| {
            if let Expr::ScalarFunction(call) = expr
                && call.func.signature().volatility != Volatility::Immutable
            {
                found.get_or_insert_with(|| call.func.name().to_owned());
            }
            Ok(TreeNodeRecursion::Continue)
        })
    });
    match (walked, found) {
        (Err(error), _) => refuse(error.strip_backtrace(), "simplify the expression"),
        (_, Some(name)) => refuse(
            format!("`{name}()` below the aggregate gives another answer each time a row is folded"),
            "use `_timestamp` or an event time column, or call it above the aggregate",
        ),
        (Ok(_), None) => Ok(()),
    }
}

/// Functions whose value depends on the order in which rows arrive.
const ORDERED: [&str; 5] = ["first_value", "last_value", "nth_value", "array_agg", "string_agg"];

fn order_is_given(aggregate: &Aggregate) -> Result<(), Refusal> {
    for function in aggregate.aggr_expr.iter().filter_map(function) {
        let name = function.func.name();
        if name == "any_value" {
            return refuse(
                "`any_value()` may answer differently in each layer",
                "write first_value(x ORDER BY _offset) or min(x)",
            );
        }
        let set = name == "array_agg" && function.params.distinct;
        if ORDERED.contains(&name) && function.params.order_by.is_empty() && !set {
            return refuse(
                format!("`{name}()` without ORDER BY depends on the order in which rows are folded"),
                format!("write {name}(.. ORDER BY _offset) or another column"),
            );
        }
    }
    Ok(())
}

/// The node that a cut point names, and `plan` with that node replaced by `leaf`.
pub(super) fn replace(
    plan: &LogicalPlan,
    at: *const LogicalPlan,
    leaf: &dyn Fn(&LogicalPlan) -> datafusion::common::Result<LogicalPlan>,
) -> datafusion::common::Result<LogicalPlan> {
    if std::ptr::eq(plan, at) {
        return leaf(plan);
    }
    let inputs = plan.inputs();
    if inputs.is_empty() {
        return Ok(plan.clone());
    }
    let inputs = inputs.into_iter().map(|input| replace(input, at, leaf)).collect::<Result<Vec<_>, _>>()?;
    plan.with_new_exprs(plan.expressions(), inputs)
}

/// Finds the node at `at` inside `plan`.
pub(super) fn node(plan: &LogicalPlan, at: *const LogicalPlan) -> Option<&LogicalPlan> {
    if std::ptr::eq(plan, at) {
        return Some(plan);
    }
    plan.inputs().into_iter().find_map(|input| node(input, at))
}

/// `plan`'s only input that reads the stream, with `Arc` intact.
pub(super) fn stream_input<'a>(plan: &'a LogicalPlan, streams: &HashSet<String>) -> Option<&'a LogicalPlan> {
    plan.inputs()
        .into_iter()
        .find(|input| scanned_tables(input).is_ok_and(|tables| tables.iter().any(|t| streams.contains(t.table()))))
}
