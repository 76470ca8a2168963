//! The settings under which views are planned.

use datafusion::prelude::SessionConfig;

/// Settings under which views are planned: one partition, plain strings, no rule that reshapes an aggregate or
/// lets a plan remember one batch when it runs on the next.
pub(super) fn planning_config() -> SessionConfig {
    let mut config = SessionConfig::new().with_target_partitions(1);
    let options = config.options_mut();
    options.sql_parser.map_string_types_to_utf8view = false;
    // Both layers and serving read a time without a zone as the same instant.
    options.execution.time_zone = Some("UTC".to_owned());
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    config
}
