//! DataFusion's rule for aggregates of which one is DISTINCT, kept from plans whose types it would change.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::Transformed;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::optimizer::ApplyOrder;
use datafusion::optimizer::single_distinct_to_groupby::SingleDistinctToGroupBy;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

/// The rule makes `sum(x), count(DISTINCT y)` a sum of sums. Where the sum of a sum has another type than the sum, as
/// that of integers has, the plan stays as it is.
#[derive(Debug)]
struct WhereTypesStay(SingleDistinctToGroupBy);

pub(super) fn install(context: &SessionContext) {
    let rule = WhereTypesStay(SingleDistinctToGroupBy::new());
    context.remove_optimizer_rule(rule.name());
    context.add_optimizer_rule(Arc::new(rule));
}

impl OptimizerRule for WhereTypesStay {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn supports_rewrite(&self) -> bool {
        true
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        if !matches!(plan, LogicalPlan::Aggregate(_)) {
            return Ok(Transformed::no(plan));
        }
        let rewritten = self.0.rewrite(plan.clone(), config)?;
        let types = |plan: &LogicalPlan| -> Vec<_> {
            plan.schema().fields().iter().map(|field| field.data_type().clone()).collect()
        };
        let same = types(&plan) == types(&rewritten.data);
        Ok(if same { rewritten } else { Transformed::no(plan) })
    }
}
