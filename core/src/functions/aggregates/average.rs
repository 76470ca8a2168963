//! `avg`, also of times.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Int64Type, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::{AggregateFunctionParams, WindowFunctionParams};
use datafusion::logical_expr::function::{AccumulatorArgs, AggregateFunctionSimplification, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};

use super::refuse_distinct;

/// `avg`: instants have an instant as their mean; all other types go to `inner`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Average {
    inner: Arc<AggregateUDF>,
    aliases: Vec<String>,
    signature: Signature,
}

impl Average {
    pub(super) fn over(inner: Arc<AggregateUDF>) -> Self {
        let aliases = inner.aliases().to_vec();
        Self { inner, aliases, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

fn is_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
}

/// The type of the mean: that of dates is a timestamp, because it may lie within a day.
fn mean(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Date32 | DataType::Date64 => DataType::Timestamp(TimeUnit::Microsecond, None),
        other => other.clone(),
    }
}

impl AggregateUDFImpl for Average {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        match arguments {
            [time] if is_time(time) => Ok(vec![mean(time)]),
            arguments => {
                let fields: Vec<FieldRef> =
                    arguments.iter().map(|of| Arc::new(Field::new("x", of.clone(), true))).collect();
                let coerced =
                    datafusion::logical_expr::type_coercion::functions::fields_with_udf(&fields, self.inner.as_ref())?;
                Ok(coerced.iter().map(|field| field.data_type().clone()).collect())
            }
        }
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [time] if is_time(time) => Ok(mean(time)),
            arguments => self.inner.return_type(arguments),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if !is_time(args.input_fields[0].data_type()) {
            return self.inner.inner().state_fields(args);
        }
        let field = |part, of| Arc::new(Field::new(format_state_name(args.name, part), of, true));
        Ok(vec![field("count", DataType::Int64), field("sum", SUM)])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let data_type = args.expr_fields[0].data_type();
        if !is_time(data_type) {
            return self.inner.accumulator(args);
        }
        refuse_distinct(&args)?;
        Ok(Box::new(Instants { data_type: mean(data_type), count: 0, sum: 0 }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !is_time(args.expr_fields[0].data_type()) && self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        match is_time(args.expr_fields[0].data_type()) {
            true => self.accumulator(args),
            false => self.inner.create_sliding_accumulator(args),
        }
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn simplify(&self) -> Option<AggregateFunctionSimplification> {
        self.inner.simplify()
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn display_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.inner.display_name(params)
    }

    fn schema_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.inner.schema_name(params)
    }

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner.window_function_schema_name(params)
    }
}

const SUM: DataType = DataType::Decimal128(38, 0);

/// Exact sums: 2^63 values of 64 bits fit 127 bits.
#[derive(Debug)]
struct Instants {
    data_type: DataType,
    count: i64,
    sum: i128,
}

impl Accumulator for Instants {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let instants = cast(&cast(&values[0], &self.data_type)?, &DataType::Int64)?;
        let instants = instants.as_primitive::<Int64Type>();
        self.count += i64::try_from(instants.len() - instants.null_count()).unwrap_or(0);
        self.sum += instants.iter().flatten().map(i128::from).sum::<i128>();
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut left = Self { data_type: self.data_type.clone(), count: 0, sum: 0 };
        left.update_batch(values)?;
        self.count -= left.count;
        self.sum -= left.sum;
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.count += states[0].as_primitive::<Int64Type>().iter().flatten().sum::<i64>();
        self.sum += states[1].as_primitive::<Decimal128Type>().iter().flatten().sum::<i128>();
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Int64(Some(self.count)), ScalarValue::Decimal128(Some(self.sum), 38, 0)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.count == 0 {
            return ScalarValue::try_from(&self.data_type);
        }
        let Ok(mean) = i64::try_from(self.sum.div_euclid(i128::from(self.count))) else {
            return exec_err!("the mean of these times is none");
        };
        ScalarValue::Int64(Some(mean)).cast_to(&self.data_type)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
