//! Guards all calls of a plan, before anything is simplified.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{TransformedResult, TreeNode};
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::optimizer::AnalyzerRule;

use super::Allowance;
use super::guarded::calls::around;

/// An analyzer rule that runs the functions of a plan within an [`Allowance`]. It has to be the last one, after the
/// rules that give arguments their types.
#[derive(Debug)]
pub struct Guard(pub Arc<dyn Allowance>);

impl AnalyzerRule for Guard {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let schema = merge_schema(&node.inputs());
            node.map_expressions(|expr| expr.transform_up(|expr| around(expr, &schema, &self.0)))
        })
        .data()
    }

    fn name(&self) -> &str {
        "guard"
    }
}
