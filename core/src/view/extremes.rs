//! Minimum and maximum of floats by total order.
//!
//! DataFusion's grouped accumulators answer differently for the same rows in another order once there is a NaN
//! among them. In the total order of IEEE 754 (`f64::total_cmp`) NaN is larger than everything, as it is in
//! PostgreSQL and in DataFusion's own aggregates without GROUP BY.

use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion::logical_expr::GroupsAccumulator;
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;

/// An accumulator for `min` or `max` of a float column; `None` for any other function or type.
pub(super) fn accumulator(function: &str, value: &DataType) -> Option<Box<dyn GroupsAccumulator>> {
    match (function, value) {
        ("min", DataType::Float64) => Some(Box::new(
            PrimitiveGroupsAccumulator::<Float64Type, _>::new(value, |least: &mut f64, new| {
                if new.total_cmp(least).is_lt() {
                    *least = new;
                }
            })
            .with_starting_value(f64::from_bits(i64::MAX.cast_unsigned())),
        )),
        ("max", DataType::Float64) => Some(Box::new(
            PrimitiveGroupsAccumulator::<Float64Type, _>::new(value, |most: &mut f64, new| {
                if new.total_cmp(most).is_gt() {
                    *most = new;
                }
            })
            .with_starting_value(f64::from_bits(u64::MAX)),
        )),
        ("min", DataType::Float32) => Some(Box::new(
            PrimitiveGroupsAccumulator::<Float32Type, _>::new(value, |least: &mut f32, new| {
                if new.total_cmp(least).is_lt() {
                    *least = new;
                }
            })
            .with_starting_value(f32::from_bits(i32::MAX.cast_unsigned())),
        )),
        ("max", DataType::Float32) => Some(Box::new(
            PrimitiveGroupsAccumulator::<Float32Type, _>::new(value, |most: &mut f32, new| {
                if new.total_cmp(most).is_gt() {
                    *most = new;
                }
            })
            .with_starting_value(f32::from_bits(u32::MAX)),
        )),
        _ => None,
    }
}
