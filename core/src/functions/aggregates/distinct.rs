//! `approx_distinct`, also of floats, and with bounds.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, StructArray, UInt64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, UInt64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::functions_aggregate::approx_distinct::approx_distinct_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::bits;

/// `approx_distinct`. Floats are counted by their bits, of which each number has one pattern.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct DistinctCount {
    has_bounds: bool,
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

impl DistinctCount {
    pub(super) fn estimate() -> Self {
        let signature = Signature::any(1, Volatility::Immutable);
        Self { has_bounds: false, inner: approx_distinct_udaf(), signature }
    }

    pub(super) fn with_bounds() -> Self {
        Self { has_bounds: true, ..Self::estimate() }
    }

    fn is_hashed(&self, args: &AccumulatorArgs<'_>) -> bool {
        let fields = counted(args.expr_fields);
        self.inner.groups_accumulator_supported(AccumulatorArgs { expr_fields: &fields, ..again(args) })
    }
}

fn again<'a>(args: &AccumulatorArgs<'a>) -> AccumulatorArgs<'a> {
    AccumulatorArgs { return_field: Arc::clone(&args.return_field), ..*args }
}

/// The types of the arguments as they are counted.
fn counted(fields: &[FieldRef]) -> Vec<FieldRef> {
    let as_bits = |field: &FieldRef| match field.data_type() {
        DataType::Float32 | DataType::Float64 => Arc::new(field.as_ref().clone().with_data_type(DataType::Int64)),
        _ => Arc::clone(field),
    };
    fields.iter().map(as_bits).collect()
}

/// `{lower, estimate, upper}`.
fn bounds() -> Fields {
    let number = |name| Field::new(name, DataType::UInt64, true);
    vec![number("lower"), number("estimate"), number("upper")].into()
}

/// Three times the standard error of 2^14 registers, 1.04 / 2^7: the number is within it in 997 of 1,000 cases.
const ERROR: f64 = 3.0 * 1.04 / 128.0;

fn with_bounds(estimates: &UInt64Array) -> Result<StructArray> {
    // Numbers that a sketch can tell are below 2^52, or nearly as good as exact.
    let lower = estimates.unary::<_, UInt64Type>(|n| (n as f64 / (1.0 + ERROR)).floor() as u64);
    let upper = estimates.unary::<_, UInt64Type>(|n| (n as f64 / (1.0 - ERROR)).ceil() as u64);
    let columns: Vec<ArrayRef> = vec![Arc::new(lower), Arc::new(estimates.clone()), Arc::new(upper)];
    Ok(StructArray::try_new(bounds(), columns, None)?)
}

impl AggregateUDFImpl for DistinctCount {
    fn name(&self) -> &str {
        if self.has_bounds { "approx_distinct_bounds" } else { "approx_distinct" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(if self.has_bounds { DataType::Struct(bounds()) } else { DataType::UInt64 })
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, _data_type: &DataType) -> Result<ScalarValue> {
        match self.has_bounds {
            true => Ok(ScalarValue::Struct(Arc::new(with_bounds(&UInt64Array::from(vec![0]))?))),
            false => Ok(ScalarValue::UInt64(Some(0))),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.inner.inner().state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let fields = counted(args.expr_fields);
        let inner = self.inner.accumulator(AccumulatorArgs { expr_fields: &fields, ..again(&args) })?;
        Ok(Box::new(Sketch { inner, has_bounds: self.has_bounds }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.is_hashed(&args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        let fields = counted(args.expr_fields);
        let inner = self.inner.create_groups_accumulator(AccumulatorArgs { expr_fields: &fields, ..again(&args) })?;
        Ok(Box::new(Sketches { inner, has_bounds: self.has_bounds }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug)]
struct Sketch {
    inner: Box<dyn Accumulator>,
    has_bounds: bool,
}

impl Accumulator for Sketch {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(&values.iter().map(bits).collect::<Vec<_>>())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let estimate = self.inner.evaluate()?;
        match (self.has_bounds, estimate) {
            (false, estimate) => Ok(estimate),
            (true, ScalarValue::UInt64(estimate)) => {
                Ok(ScalarValue::Struct(Arc::new(with_bounds(&UInt64Array::from(vec![estimate.unwrap_or(0)]))?)))
            }
            (true, other) => internal_err!("an estimate is a whole number, not {other}"),
        }
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}

struct Sketches {
    inner: Box<dyn GroupsAccumulator>,
    has_bounds: bool,
}

impl GroupsAccumulator for Sketches {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        self.inner.update_batch(&values.iter().map(bits).collect::<Vec<_>>(), group_indices, filter, groups)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        let estimates = self.inner.evaluate(emit)?;
        match self.has_bounds {
            true => Ok(Arc::new(with_bounds(estimates.as_primitive::<UInt64Type>())?)),
            false => Ok(estimates),
        }
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], groups: usize) -> Result<()> {
        self.inner.merge_batch(values, group_indices, groups)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(&values.iter().map(bits).collect::<Vec<_>>(), filter)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}
