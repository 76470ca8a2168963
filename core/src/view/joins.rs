//! Joins of a fold plan: the lookup is hashed once and kept, the stream's batches probe it.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{JoinType, Result};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::{HashJoinExec, PartitionMode};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::streaming::StreamingTableExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};

/// `plan` with every hash join's stream on the probe side, and one output.
pub(super) fn probe_with_stream(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = swap_joins(plan)?;
    match plan.output_partitioning().partition_count() {
        1 => Ok(plan),
        _ => Ok(Arc::new(CoalescePartitionsExec::new(plan))),
    }
}

fn swap_joins(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| match node.downcast_ref::<HashJoinExec>() {
        Some(join) if reads_stream(join.left()) => Ok(Transformed::yes(join.swap_inputs(PartitionMode::CollectLeft)?)),
        _ => Ok(Transformed::no(node)),
    })
    .data()
}

/// Whether `plan` may run on one batch after the other without a reset: no node keeps anything of a batch, except the
/// hashed lookup.
pub(super) fn runs_again(plan: &Arc<dyn ExecutionPlan>) -> bool {
    if !reads_stream(plan) {
        return false;
    }
    if plan.is::<StreamingTableExec>() {
        return true;
    }
    if let Some(join) = plan.downcast_ref::<HashJoinExec>() {
        // In these, no row depends on the build side's memory of earlier batches.
        let by_probe =
            matches!(join.join_type(), JoinType::Inner | JoinType::Right | JoinType::RightSemi | JoinType::RightAnti);
        return by_probe && !reads_stream(join.left()) && runs_again(join.right());
    }
    let by_row = plan.is::<FilterExec>() || plan.is::<ProjectionExec>() || plan.is::<UnnestExec>();
    let together = plan.is::<UnionExec>() || plan.is::<CoalescePartitionsExec>();
    (by_row || together) && plan.children().into_iter().all(runs_again)
}

fn reads_stream(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.is::<StreamingTableExec>() || plan.children().into_iter().any(reads_stream)
}
