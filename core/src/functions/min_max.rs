//! Minimum and maximum of floats by total order.
//!
//! DataFusion's grouped accumulators answer differently for the same rows in another order once there is a NaN
//! among them. In the total order of IEEE 754 (`f64::total_cmp`) NaN is larger than everything, as it is in
//! PostgreSQL and in DataFusion's own aggregates without GROUP BY. The NaN of negative sign, which is the least of all,
//! does not get here: see [`crate::functions::canonical_float`].

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, Float32Type, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::context::SessionContext;
use datafusion::functions_aggregate::min_max;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF, SetMonotonicity,
    Signature, StatisticsArgs,
};
use datafusion_functions_aggregate_common::aggregate::groups_accumulator::prim_op::PrimitiveGroupsAccumulator;

/// Registers both under DataFusion's names.
pub(super) fn install(context: &SessionContext) {
    for original in [min_max::min_udaf(), min_max::max_udaf()] {
        context.register_udaf(AggregateUDF::from(InTotalOrder { original }));
    }
}

/// DataFusion's `min` or `max`, except for groups of floats.
#[derive(Debug, PartialEq, Eq, Hash)]
struct InTotalOrder {
    original: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for InTotalOrder {
    fn create_groups_accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        match accumulator(self.name(), arguments.return_type()) {
            Some(in_total_order) => Ok(in_total_order),
            None => self.original.create_groups_accumulator(arguments),
        }
    }

    fn name(&self) -> &str {
        self.original.name()
    }

    fn signature(&self) -> &Signature {
        self.original.signature()
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.original.coerce_types(arguments)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.original.return_type(arguments)
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.original.state_fields(arguments)
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.original.accumulator(arguments)
    }

    fn create_sliding_accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        self.original.create_sliding_accumulator(arguments)
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs<'_>) -> bool {
        self.original.groups_accumulator_supported(arguments)
    }

    fn is_descending(&self) -> Option<bool> {
        self.original.is_descending()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.original.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn value_from_stats(&self, statistics: &StatisticsArgs<'_>) -> Option<ScalarValue> {
        self.original.value_from_stats(statistics)
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.original.inner().set_monotonicity(data_type)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.original.documentation()
    }
}

/// An accumulator for `min` or `max` of a float column; `None` for any other function or type.
fn accumulator(function: &str, value: &DataType) -> Option<Box<dyn GroupsAccumulator>> {
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
