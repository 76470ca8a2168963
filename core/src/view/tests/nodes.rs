//! Every logical node and every expression that DataFusion has is either folded or refused by name.
//!
//! `node_number` and `expression_number` have no wildcard: a new variant does not compile until it is numbered here,
//! and then fails the test until it has a sample below.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::expr::{
    HigherOrderFunction, Lambda, LambdaVariable, Placeholder, Unnest, WildcardOptions,
};
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, LogicalPlanBuilder, Partitioning, UserDefinedLogicalNodeCore, col, lit,
};
use datafusion::prelude::SessionContext;

use super::super::foldable::cut_point;
use super::rows::{context, plan};
use crate::view::allowed_nodes;
use crate::view::allowed_nodes::ExprPlace;

fn node_number(plan: &LogicalPlan) -> usize {
    match plan {
        LogicalPlan::Projection(_) => 0,
        LogicalPlan::Filter(_) => 1,
        LogicalPlan::Window(_) => 2,
        LogicalPlan::Aggregate(_) => 3,
        LogicalPlan::Sort(_) => 4,
        LogicalPlan::Join(_) => 5,
        LogicalPlan::Repartition(_) => 6,
        LogicalPlan::Union(_) => 7,
        LogicalPlan::TableScan(_) => 8,
        LogicalPlan::EmptyRelation(_) => 9,
        LogicalPlan::Subquery(_) => 10,
        LogicalPlan::SubqueryAlias(_) => 11,
        LogicalPlan::Limit(_) => 12,
        LogicalPlan::Statement(_) => 13,
        LogicalPlan::Values(_) => 14,
        LogicalPlan::Explain(_) => 15,
        LogicalPlan::Analyze(_) => 16,
        LogicalPlan::Extension(_) => 17,
        LogicalPlan::Distinct(_) => 18,
        LogicalPlan::Dml(_) => 19,
        LogicalPlan::Ddl(_) => 20,
        LogicalPlan::Copy(_) => 21,
        LogicalPlan::DescribeTable(_) => 22,
        LogicalPlan::Unnest(_) => 23,
        LogicalPlan::RecursiveQuery(_) => 24,
    }
}
const NODES: usize = 25;

const FOLDED: &[&str] = &[
    "SELECT k, count(*) FROM s WHERE i > 1 GROUP BY k",
    "SELECT k, row_number() OVER (ORDER BY _partition, _offset) FROM (SELECT * FROM s) x ORDER BY k LIMIT 3",
    "SELECT s.k FROM s JOIN (VALUES ('a')) v (k) ON s.k = v.k",
    "SELECT k FROM s UNION ALL SELECT k FROM s",
    "SELECT DISTINCT k FROM s",
    "SELECT unnest(tags) FROM s",
    "SELECT s.k FROM s CROSS JOIN (SELECT 1 AS one)",
    "SELECT s.k, l.name FROM s, LATERAL (SELECT name FROM names WHERE names.k = s.k) l",
];

/// With what they are refused.
const REFUSED: &[(&str, &str)] = &[
    ("SET datafusion.execution.batch_size = 1", "`SET` has no place in a view"),
    ("EXPLAIN SELECT k FROM s", "`EXPLAIN` has no place in a view"),
    ("EXPLAIN ANALYZE SELECT k FROM s", "`EXPLAIN ANALYZE` has no place in a view"),
    ("INSERT INTO names SELECT k, upper(k) FROM s", "`INSERT, UPDATE or DELETE` has no place in a view"),
    ("SELECT k INTO x FROM s", "`CREATE or DROP` has no place in a view"),
    ("CREATE TABLE x AS SELECT k FROM s", "`CREATE or DROP` has no place in a view"),
    ("COPY s TO 'x.parquet'", "`COPY` has no place in a view"),
    ("DESCRIBE s", "`DESCRIBE` has no place in a view"),
    (
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 3) SELECT s.k FROM s JOIN r ON s.i = r.n",
        "`WITH RECURSIVE` has no place in a view over a stream",
    ),
];

#[derive(Debug, PartialEq, Eq, Hash, PartialOrd)]
struct OfSomebody(LogicalPlan);

impl UserDefinedLogicalNodeCore for OfSomebody {
    fn name(&self) -> &str {
        "OfSomebody"
    }
    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.0]
    }
    fn schema(&self) -> &Arc<DFSchema> {
        self.0.schema()
    }
    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }
    fn fmt_for_explain(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OfSomebody")
    }
    fn with_exprs_and_inputs(&self, _: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> datafusion::common::Result<Self> {
        Ok(Self(inputs.remove(0)))
    }
}

async fn logical(context: &SessionContext, sql: &str) -> LogicalPlan {
    context.state().create_logical_plan(sql).await.unwrap_or_else(|error| panic!("`{sql}`: {error}"))
}

#[tokio::test]
async fn every_node_is_folded_or_refused_by_name() {
    let context = context().await;
    let mut seen = BTreeSet::new();
    let mut see = |plan: &LogicalPlan| {
        plan.apply_with_subqueries(|node| {
            seen.insert(node_number(node));
            Ok(TreeNodeRecursion::Continue)
        })
        .unwrap();
    };
    for sql in FOLDED {
        see(&logical(&context, sql).await);
        plan(sql).await.unwrap_or_else(|error| panic!("`{sql}`: {error}"));
    }
    for (sql, message) in REFUSED {
        see(&logical(&context, sql).await);
        assert_eq!(plan(sql).await.map(|_| ()).unwrap_err().to_string(), *message, "{sql}");
    }
    let scan = logical(&context, "SELECT * FROM s").await;
    let by_hand = [
        (
            LogicalPlanBuilder::from(scan.clone())
                .repartition(Partitioning::RoundRobinBatch(2))
                .unwrap()
                .build()
                .unwrap(),
            "DISTRIBUTE BY",
        ),
        (LogicalPlan::Extension(Extension { node: Arc::new(OfSomebody(scan)) }), "extension"),
    ];
    for (plan, name) in by_hand {
        see(&plan);
        let refused = cut_point(&plan, &["s".to_owned()].into()).unwrap_err();
        assert_eq!(refused.message, format!("`{name}` has no place in a view"));
    }
    assert_eq!(seen, (0..NODES).collect(), "a node without a sample");
}

#[expect(deprecated, reason = "a wildcard is an expression as any other")]
fn expression_number(expr: &Expr) -> usize {
    match expr {
        Expr::Alias(_) => 0,
        Expr::Column(_) => 1,
        Expr::ScalarVariable(..) => 2,
        Expr::Literal(..) => 3,
        Expr::BinaryExpr(_) => 4,
        Expr::Like(_) => 5,
        Expr::SimilarTo(_) => 6,
        Expr::Not(_) => 7,
        Expr::IsNotNull(_) => 8,
        Expr::IsNull(_) => 9,
        Expr::IsTrue(_) => 10,
        Expr::IsFalse(_) => 11,
        Expr::IsUnknown(_) => 12,
        Expr::IsNotTrue(_) => 13,
        Expr::IsNotFalse(_) => 14,
        Expr::IsNotUnknown(_) => 15,
        Expr::Negative(_) => 16,
        Expr::Between(_) => 17,
        Expr::Case(_) => 18,
        Expr::Cast(_) => 19,
        Expr::TryCast(_) => 20,
        Expr::ScalarFunction(_) => 21,
        Expr::AggregateFunction(_) => 22,
        Expr::WindowFunction(_) => 23,
        Expr::InList(_) => 24,
        Expr::Exists(_) => 25,
        Expr::InSubquery(_) => 26,
        Expr::SetComparison(_) => 27,
        Expr::ScalarSubquery(_) => 28,
        Expr::Wildcard { .. } => 29,
        Expr::GroupingSet(_) => 30,
        Expr::Placeholder(_) => 31,
        Expr::OuterReferenceColumn(..) => 32,
        Expr::Unnest(_) => 33,
        Expr::HigherOrderFunction(_) => 34,
        Expr::Lambda(_) => 35,
        Expr::LambdaVariable(_) => 36,
    }
}
const EXPRESSIONS: usize = 37;

/// In a view that is folded, as a select list, a condition or a grouping.
const FOLDED_EXPRESSIONS: &[&str] = &[
    "SELECT k AS a, i + 1 AS b, -i AS c, CAST(i AS VARCHAR) AS d, TRY_CAST(k AS INT) AS e, upper(k) AS f FROM s",
    "SELECT CASE WHEN i BETWEEN 1 AND 2 THEN 1 END AS c FROM s WHERE k LIKE 'a%' AND k SIMILAR TO 'a.*' AND NOT b",
    "SELECT k FROM s WHERE k IS NULL OR k IS NOT NULL OR k IN ('a', 'b', 'c', 'd')",
    "SELECT k FROM s WHERE b IS TRUE OR b IS FALSE OR b IS UNKNOWN OR b IS NOT TRUE OR b IS NOT FALSE OR b IS NOT UNKNOWN",
    "SELECT k, count(*) FROM s GROUP BY ROLLUP (k)",
    "SELECT k, rank() OVER (ORDER BY n) AS r FROM (SELECT k, count(*) AS n FROM s GROUP BY k)",
    "SELECT k FROM s WHERE k IN (SELECT k FROM names)",
    "SELECT k FROM s WHERE EXISTS (SELECT 1 FROM names n WHERE n.k = s.k)",
    "SELECT k FROM s WHERE k = (SELECT max(k) FROM names)",
];

/// A query that DataFusion has a node for, refused before it becomes one: the node finds the wrong rows.
const REFUSED_AS_WRITTEN: &str = "SELECT k FROM s WHERE k > ALL (SELECT k FROM names)";

fn see_expressions(plan: &LogicalPlan, seen: &mut BTreeSet<usize>) {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                seen.insert(expression_number(expr));
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })
    .unwrap();
}

#[tokio::test]
async fn every_expression_is_folded_or_refused_by_name() {
    let context = context().await;
    let mut seen = BTreeSet::new();
    see_expressions(&logical(&context, REFUSED_AS_WRITTEN).await, &mut seen);
    let refused = plan(REFUSED_AS_WRITTEN).await.unwrap_err().to_string();
    assert!(refused.contains("ALL of a subquery"), "{refused}");
    for sql in FOLDED_EXPRESSIONS {
        see_expressions(&logical(&context, sql).await, &mut seen);
        plan(sql).await.unwrap_or_else(|error| panic!("`{sql}`: {error}"));
    }
    let field = Arc::new(arrow::datatypes::Field::new("x", arrow::datatypes::DataType::Int64, true));
    let lambda = Expr::Lambda(Lambda { params: vec!["x".to_owned()], body: Box::new(lit(1)) });
    let allowed_by_hand = [
        lambda.clone(),
        Expr::LambdaVariable(LambdaVariable {
            name: "x".to_owned(),
            field: Some(Arc::clone(&field)),
            spans: Default::default(),
        }),
    ];
    for expr in &allowed_by_hand {
        seen.insert(expression_number(expr));
        assert!(allowed_nodes::expression(expr, ExprPlace::Rows).is_ok(), "{expr}");
    }
    #[expect(deprecated, reason = "a wildcard is an expression as any other")]
    let wildcard = Expr::Wildcard { qualifier: None, options: Box::new(WildcardOptions::default()) };
    let refused = [
        (Expr::ScalarVariable(Arc::clone(&field), vec!["@x".to_owned()]), "there are no variables"),
        (wildcard, "`*` cannot be folded here"),
        (Expr::Placeholder(Placeholder::new_with_field("$1".to_owned(), None)), "a view has no parameters"),
        (Expr::OuterReferenceColumn(Arc::clone(&field), Column::from_name("x")), "LATERAL"),
        (Expr::Unnest(Unnest::new(col("x"))), "inside of another expression"),
    ];
    for (expr, message) in refused {
        seen.insert(expression_number(&expr));
        let refusal = allowed_nodes::expression(&expr, ExprPlace::Rows).unwrap_err();
        assert!(refusal.message.contains(message), "{expr}: {}", refusal.message);
    }
    let state = context.state();
    let function = Arc::clone(state.higher_order_functions().values().next().unwrap());
    let call = Expr::HigherOrderFunction(HigherOrderFunction::new(function, vec![col("tags"), lambda]));
    seen.insert(expression_number(&call));
    assert!(allowed_nodes::expression(&call, ExprPlace::Rows).is_ok(), "{call}");
    assert_eq!(seen, (0..EXPRESSIONS).collect(), "an expression without a sample");
}
