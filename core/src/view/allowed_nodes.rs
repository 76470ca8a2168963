//! The logical nodes and expressions of DataFusion that a view may contain, listed one by one.
//!
//! No match here has a wildcard: a variant that a new version of DataFusion brings does not compile until somebody
//! has decided about it.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan, Subquery, Volatility};

use super::refusal::{Refusal, refuse};
use super::{nondeterminism, order};

/// Checks that a view may contain this node anywhere: below its cut, above it, or in a subquery.
pub(super) fn node(plan: &LogicalPlan) -> Result<(), Refusal> {
    match plan {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::TableScan(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Unnest(_)
        | LogicalPlan::RecursiveQuery(_) => Ok(()),
        LogicalPlan::Repartition(_)
        | LogicalPlan::Statement(_)
        | LogicalPlan::Explain(_)
        | LogicalPlan::Analyze(_)
        | LogicalPlan::Extension(_)
        | LogicalPlan::Dml(_)
        | LogicalPlan::Ddl(_)
        | LogicalPlan::Copy(_)
        | LogicalPlan::DescribeTable(_) => refuse(
            format!("`{}` has no place in a view", name(plan)),
            "use SELECT .. FROM .. WHERE .. GROUP BY .. HAVING .. ORDER BY .. LIMIT",
        ),
    }
}

/// The node's name in SQL, or else in DataFusion.
pub(super) fn name(plan: &LogicalPlan) -> &'static str {
    match plan {
        LogicalPlan::Projection(_) => "SELECT",
        LogicalPlan::Filter(_) => "WHERE",
        LogicalPlan::Window(_) => "OVER",
        LogicalPlan::Aggregate(_) => "GROUP BY",
        LogicalPlan::Sort(_) => "ORDER BY",
        LogicalPlan::Join(_) => "JOIN",
        LogicalPlan::Repartition(_) => "DISTRIBUTE BY",
        LogicalPlan::Union(_) => "UNION",
        LogicalPlan::TableScan(_) | LogicalPlan::EmptyRelation(_) => "FROM",
        LogicalPlan::Subquery(_) => "LATERAL",
        LogicalPlan::SubqueryAlias(_) => "AS",
        LogicalPlan::Limit(_) => "LIMIT",
        LogicalPlan::Statement(_) => "SET",
        LogicalPlan::Values(_) => "VALUES",
        LogicalPlan::Explain(_) => "EXPLAIN",
        LogicalPlan::Analyze(_) => "EXPLAIN ANALYZE",
        LogicalPlan::Extension(_) => "extension",
        LogicalPlan::Distinct(Distinct::On(_)) => "DISTINCT ON",
        LogicalPlan::Distinct(Distinct::All(_)) => "DISTINCT",
        LogicalPlan::Dml(_) => "INSERT, UPDATE or DELETE",
        LogicalPlan::Ddl(_) => "CREATE or DROP",
        LogicalPlan::Copy(_) => "COPY",
        LogicalPlan::DescribeTable(_) => "DESCRIBE",
        LogicalPlan::Unnest(_) => "unnest",
        LogicalPlan::RecursiveQuery(_) => "WITH RECURSIVE",
    }
}

/// The place of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ExprPlace {
    /// In a node that works row by row.
    Rows,
    /// In the aggregate at the cut.
    Aggregate,
    /// In a part of the plan that reads lookups only.
    Lookup,
}

/// Checks that the expressions of `plan`, which is folded, give the same values whenever they are evaluated.
pub(super) fn expressions(plan: &LogicalPlan, place: ExprPlace) -> Result<(), Refusal> {
    let mut refusal = None;
    let walked = plan.apply_expressions(|expr| {
        expr.apply(|expr| {
            let checked = expression(expr, place);
            refusal = refusal.take().or(checked.err());
            Ok(if refusal.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })
    });
    match (walked, refusal) {
        (_, Some(refusal)) => Err(refusal),
        (Err(error), None) => refuse(error.strip_backtrace(), "simplify the expression"),
        (Ok(_), None) => Ok(()),
    }
}

/// Checks one expression, without those inside of it.
pub(super) fn expression(expr: &Expr, place: ExprPlace) -> Result<(), Refusal> {
    #[expect(deprecated, reason = "a wildcard is refused by name as any other")]
    match expr {
        Expr::Alias(_)
        | Expr::Column(_)
        | Expr::Literal(..)
        | Expr::BinaryExpr(_)
        | Expr::Like(_)
        | Expr::SimilarTo(_)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::InList(_)
        | Expr::Lambda(_)
        | Expr::LambdaVariable(_) => Ok(()),
        Expr::ScalarFunction(call) => immutable(call.func.name(), call.func.signature().volatility),
        Expr::HigherOrderFunction(call) => immutable(call.func.name(), call.func.signature().volatility),
        Expr::InSubquery(compared) if compared.negated && place != ExprPlace::Lookup => refuse(
            "`NOT IN (SELECT ..)` over a lookup cannot be folded: one NULL among its rows would leave no row at all",
            "write NOT EXISTS (SELECT 1 FROM lookup WHERE lookup.k = stream.k)",
        ),
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) | Expr::ScalarSubquery(_)
            if place == ExprPlace::Aggregate =>
        {
            refuse(
                "a subquery inside of an aggregate or GROUP BY cannot be folded",
                "compute it in a subquery of FROM, and aggregate its column",
            )
        }
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_) | Expr::ScalarSubquery(_) => {
            subquery(expr).map_or(Ok(()), |subquery| same_each_time(&subquery.subquery))
        }
        Expr::AggregateFunction(_) | Expr::GroupingSet(_) if place != ExprPlace::Rows => Ok(()),
        Expr::WindowFunction(_) | Expr::OuterReferenceColumn(..) if place == ExprPlace::Lookup => Ok(()),
        Expr::OuterReferenceColumn(..) => refuse(
            "LATERAL over a stream's rows cannot be folded",
            "write a subquery in FROM that computes the columns: FROM (SELECT .., unnest(tags) AS tag FROM stream)",
        ),
        Expr::AggregateFunction(_) | Expr::WindowFunction(_) | Expr::GroupingSet(_) => {
            refuse(format!("`{expr}` does not work row by row"), "use it in a SELECT list")
        }
        Expr::Unnest(_) => {
            refuse("`unnest()` inside of another expression cannot be folded", "unnest in a subquery of FROM first")
        }
        Expr::Placeholder(_) => {
            refuse(format!("`{expr}` has no value: a view has no parameters"), "write the value itself")
        }
        Expr::ScalarVariable(..) => {
            refuse(format!("`{expr}` has no value: there are no variables"), "write the value itself")
        }
        Expr::Wildcard { .. } => refuse("`*` cannot be folded here", "name the columns"),
    }
}

/// The subquery that an expression compares with or takes its value from.
pub(super) fn subquery(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::Exists(exists) => Some(&exists.subquery),
        Expr::InSubquery(compared) => Some(&compared.subquery),
        Expr::ScalarSubquery(subquery) => Some(subquery),
        Expr::SetComparison(compared) => Some(&compared.subquery),
        _ => None,
    }
}

fn immutable(name: &str, volatility: Volatility) -> Result<(), Refusal> {
    match volatility {
        Volatility::Immutable => Ok(()),
        Volatility::Stable | Volatility::Volatile => refuse(
            format!("`{name}()` below the aggregate gives another answer each time a row is folded"),
            "use `_timestamp` or an event time column, or call it above the aggregate",
        ),
    }
}

/// Refuses a lookup side whose rows may differ between foldings: they must be the same in both layers, today and after
/// a restart.
pub(super) fn same_each_time(lookup: &LogicalPlan) -> Result<(), Refusal> {
    let mut refusal = None;
    let walked = lookup.apply_with_subqueries(|node| {
        let checked = self::node(node)
            .and_then(|()| expressions(node, ExprPlace::Lookup))
            .and_then(|()| match node {
                LogicalPlan::Aggregate(aggregate) => order::order_is_given(aggregate),
                _ => Ok(()),
            })
            .and_then(|()| match nondeterminism::of_node(node) {
                Some(what) => refuse(
                    format!("{what}, so a row may be folded with other rows of the lookup each time"),
                    "add columns to ORDER BY until no two rows are level",
                ),
                None => Ok(()),
            });
        refusal = checked.err();
        Ok(if refusal.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    match (walked, refusal) {
        (_, Some(refusal)) => Err(refusal),
        (Err(error), None) => refuse(error.strip_backtrace(), "simplify the subquery"),
        (Ok(_), None) => Ok(()),
    }
}
