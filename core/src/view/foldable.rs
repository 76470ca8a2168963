//! The check whether a view can be folded: walks its plan from the stream upwards and finds the boundary of fold and
//! finish, or the clause that prevents it and its replacement.
//!
//! The nodes and expressions here are the permitted ones: any other is refused, because folding it in pieces has not
//! been considered.

use super::refusal::{Refusal, refuse};
use std::collections::HashSet;

use datafusion::common::JoinType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::LogicalPlan;

use super::order;
use crate::view::allowed_nodes;
use crate::view::allowed_nodes::ExprPlace;
use crate::view::split_plan::scanned_tables;

/// The kind of a part of the plan, seen from below.
#[derive(Debug)]
enum PlanPart {
    /// The part reads lookups or constants only.
    Static,
    /// The part works row by row over this stream: foldable so far.
    Rows(String),
    /// The part contains a cut. `blocked_by` is set when the node on top of the rows is no aggregate.
    Cut { at: *const LogicalPlan, blocked_by: Option<&'static str> },
}

/// The node at which fold ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CutPoint {
    /// This node, an [`Aggregate`].
    Aggregate(*const LogicalPlan),
    /// The input of this node: its rows are those of the view.
    Below(*const LogicalPlan),
    /// The top: the whole plan works row by row.
    Top,
}

/// Finds the cut point of `plan`, a view over one of `streams`.
pub(super) fn cut_point(plan: &LogicalPlan, streams: &HashSet<String>) -> Result<CutPoint, Refusal> {
    let walk = Walk { streams };
    match walk.part(plan)? {
        PlanPart::Static => refuse("the view reads no stream", "select from one of the pipeline's streams"),
        PlanPart::Rows(_) => Ok(CutPoint::Top),
        PlanPart::Cut { at, blocked_by: None } => Ok(CutPoint::Aggregate(at)),
        PlanPart::Cut { at, blocked_by: Some(_) } => Ok(CutPoint::Below(at)),
    }
}

const UNION_WITH_LOOKUP: &str = "UNION of a stream with a lookup cannot be folded";
const UNION_IN_QUERY: &str = "put the lookup's rows into the stream, or union in the query";

struct Walk<'a> {
    streams: &'a HashSet<String>,
}

impl Walk<'_> {
    fn part(&self, plan: &LogicalPlan) -> Result<PlanPart, Refusal> {
        allowed_nodes::node(plan)?;
        self.no_stream_in_subqueries(plan)?;
        if let LogicalPlan::TableScan(scan) = plan {
            let name = scan.table_name.table();
            return Ok(if self.streams.contains(name) { PlanPart::Rows(name.to_owned()) } else { PlanPart::Static });
        }
        let inputs = plan.inputs();
        let parts = inputs.iter().map(|input| self.part(input)).collect::<Result<Vec<_>, _>>()?;
        let mut reading: Vec<(usize, PlanPart)> =
            parts.into_iter().enumerate().filter(|(_, part)| !matches!(part, PlanPart::Static)).collect();
        match (reading.len(), plan) {
            (_, LogicalPlan::RecursiveQuery(_)) => refuse(
                "`WITH RECURSIVE` has no place in a view over a stream",
                "put it into a query, or into a view that reads views only",
            ),
            (0, _) => Ok(PlanPart::Static),
            (1, _) => match reading.pop() {
                Some((side, part)) => over_one(plan, side, part),
                None => Ok(PlanPart::Static),
            },
            (n, LogicalPlan::Union(_)) if n == inputs.len() => union(reading),
            (_, LogicalPlan::Union(_)) => refuse(UNION_WITH_LOOKUP, UNION_IN_QUERY),
            (_, LogicalPlan::Join(_)) if reading.iter().all(|(_, part)| matches!(part, PlanPart::Rows(_))) => refuse(
                "a join of two streams cannot be folded: rows that belong together may lie on both sides of the cut",
                "make a view of each stream and join the views in the query, or join a lookup",
            ),
            (_, LogicalPlan::Join(_)) if reading.iter().any(|(_, part)| matches!(part, PlanPart::Rows(_))) => refuse(
                "a join of a stream's rows with an aggregate over a stream cannot be folded: each row would need \
                 all others",
                "make a view of each and join them in the query",
            ),
            _ => refuse(
                "two aggregates over streams in one view cannot be folded",
                "make a view of each and join them in the query",
            ),
        }
    }

    fn no_stream_in_subqueries(&self, plan: &LogicalPlan) -> Result<(), Refusal> {
        let mut found = None;
        let walked = plan.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Some(subquery) = allowed_nodes::subquery(expr) {
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

/// Combines several inputs that read streams.
fn union(reading: Vec<(usize, PlanPart)>) -> Result<PlanPart, Refusal> {
    let mut streams = HashSet::new();
    for (_, part) in reading {
        let PlanPart::Rows(stream) = part else {
            return refuse(
                "UNION of aggregates over streams cannot be folded",
                "make a view of each, and a view that is the UNION ALL of these views",
            );
        };
        streams.insert(stream);
    }
    let mut streams: Vec<String> = streams.into_iter().collect();
    streams.sort();
    match streams.as_slice() {
        [stream] => Ok(PlanPart::Rows(stream.clone())),
        _ => {
            let names: Vec<String> = streams.iter().map(|stream| format!("`{stream}`")).collect();
            refuse(
                format!("UNION of the streams {} cannot be folded: a view folds one stream", names.join(" and ")),
                "make a view of each stream, and a view over these views that adds them up: \
                 SELECT k, sum(n) FROM (SELECT k, n FROM view_1 UNION ALL SELECT k, n FROM view_2) GROUP BY k",
            )
        }
    }
}

fn over_one(plan: &LogicalPlan, side: usize, below: PlanPart) -> Result<PlanPart, Refusal> {
    match below {
        PlanPart::Static => Ok(PlanPart::Static),
        PlanPart::Rows(stream) => over_rows(plan, side, stream),
        PlanPart::Cut { blocked_by: Some(what), .. }
            if matches!(plan, LogicalPlan::Aggregate(_) | LogicalPlan::Distinct(_)) =>
        {
            refuse(
                format!("{what} below the aggregate cannot be folded: it depends on all rows at once"),
                hint_below_aggregate(what),
            )
        }
        cut @ PlanPart::Cut { .. } => Ok(cut),
    }
}

fn hint_below_aggregate(what: &str) -> &'static str {
    match what {
        "LIMIT" => "limit the view's result, above the aggregate",
        "ORDER BY" => "leave it out: the aggregate does not depend on the order of its rows",
        _ => "use the window function above the aggregate, or last_value(x ORDER BY _offset) per key",
    }
}

fn over_rows(plan: &LogicalPlan, side: usize, stream: String) -> Result<PlanPart, Refusal> {
    let below = |what| Ok(PlanPart::Cut { at: std::ptr::from_ref(plan), blocked_by: Some(what) });
    match plan {
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::Unnest(_) => {
            allowed_nodes::expressions(plan, ExprPlace::Rows)?;
            Ok(PlanPart::Rows(stream))
        }
        LogicalPlan::SubqueryAlias(_) => Ok(PlanPart::Rows(stream)),
        LogicalPlan::Join(join) => {
            allowed_nodes::expressions(plan, ExprPlace::Rows)?;
            let lookup = if side == 0 { &join.right } else { &join.left };
            allowed_nodes::same_each_time(lookup)?;
            keeps_only_stream_rows(join.join_type, side)?;
            Ok(PlanPart::Rows(stream))
        }
        LogicalPlan::Aggregate(aggregate) => {
            allowed_nodes::expressions(plan, ExprPlace::Aggregate)?;
            order::order_is_given(aggregate)?;
            Ok(PlanPart::Cut { at: std::ptr::from_ref(plan), blocked_by: None })
        }
        LogicalPlan::Sort(_) => below("ORDER BY"),
        LogicalPlan::Limit(_) => below("LIMIT"),
        LogicalPlan::Window(_) => below("a window function"),
        LogicalPlan::Union(_) => refuse(UNION_WITH_LOOKUP, UNION_IN_QUERY),
        LogicalPlan::Subquery(_) => refuse(
            "LATERAL over a stream's rows cannot be folded",
            "write a subquery in FROM that computes the columns: FROM (SELECT .., unnest(tags) AS tag FROM stream)",
        ),
        LogicalPlan::Distinct(_)
        | LogicalPlan::TableScan(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Statement(_)
        | LogicalPlan::Explain(_)
        | LogicalPlan::Analyze(_)
        | LogicalPlan::Extension(_)
        | LogicalPlan::Dml(_)
        | LogicalPlan::Ddl(_)
        | LogicalPlan::Copy(_)
        | LogicalPlan::DescribeTable(_)
        | LogicalPlan::RecursiveQuery(_) => refuse(
            format!("`{}` over a stream cannot be folded", allowed_nodes::name(plan)),
            "use SELECT .. FROM .. WHERE .. GROUP BY .. HAVING .. ORDER BY .. LIMIT",
        ),
    }
}

/// Refuses an outer join that also keeps lookup rows without a match: it would keep them once per fold.
fn keeps_only_stream_rows(join: JoinType, stream_side: usize) -> Result<(), Refusal> {
    let folds = match join {
        JoinType::Inner => true,
        JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => stream_side == 0,
        JoinType::Right | JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => stream_side == 1,
        JoinType::Full => false,
    };
    if folds {
        return Ok(());
    }
    refuse(
        format!("{join} join keeps lookup rows without a match, which no single row of the stream decides"),
        "join with the stream on the outer side: FROM stream LEFT JOIN lookup",
    )
}

/// The node of a cut point, and `plan` with that node replaced by `leaf`.
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
