//! The aggregates as DataFusion plans them: names, types and accumulators.

use std::sync::Arc;

use arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DECIMAL128_MAX_SCALE, DECIMAL256_MAX_PRECISION, DECIMAL256_MAX_SCALE, DataType, FieldRef,
    IntervalUnit,
};
use datafusion::common::{Result, plan_err};
use datafusion::functions_aggregate::{average, correlation, covariance, regr, stddev, sum, variance};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};

use super::alone::Alone;
use super::distinct::Distinct;
use super::moments::{Moments, Shape};
use super::statistic::{Divisor, Statistic};

/// One of DataFusion's aggregates, computed exactly.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Exactly {
    statistic: Statistic,
    /// The aggregate replaced, for its names and documentation.
    original: Arc<AggregateUDF>,
    aliases: Vec<String>,
    signature: Signature,
}

pub(super) fn all() -> Vec<AggregateUDF> {
    use Divisor::{Population, Sample};
    let functions = [
        (Statistic::Sum, sum::sum_udaf()),
        (Statistic::Average, average::avg_udaf()),
        (Statistic::Variance(Sample), variance::var_samp_udaf()),
        (Statistic::Variance(Population), variance::var_pop_udaf()),
        (Statistic::Deviation(Sample), stddev::stddev_udaf()),
        (Statistic::Deviation(Population), stddev::stddev_pop_udaf()),
        (Statistic::Covariance(Sample), covariance::covar_samp_udaf()),
        (Statistic::Covariance(Population), covariance::covar_pop_udaf()),
        (Statistic::Correlation, correlation::corr_udaf()),
        (Statistic::Slope, regr::regr_slope_udaf()),
        (Statistic::Intercept, regr::regr_intercept_udaf()),
        (Statistic::Count, regr::regr_count_udaf()),
        (Statistic::R2, regr::regr_r2_udaf()),
        (Statistic::AverageX, regr::regr_avgx_udaf()),
        (Statistic::AverageY, regr::regr_avgy_udaf()),
        (Statistic::Sxx, regr::regr_sxx_udaf()),
        (Statistic::Syy, regr::regr_syy_udaf()),
        (Statistic::Sxy, regr::regr_sxy_udaf()),
    ];
    functions.into_iter().map(|(statistic, original)| Exactly::of(statistic, original).into()).collect()
}

impl Exactly {
    fn of(statistic: Statistic, original: Arc<AggregateUDF>) -> Self {
        let mut aliases = original.aliases().to_vec();
        if statistic == Statistic::Variance(Divisor::Sample) {
            aliases.push("variance".to_owned());
        }
        Self { statistic, original, aliases, signature: Signature::user_defined(Volatility::Immutable) }
    }

    /// The type in which an argument is added up.
    fn coerced(&self, argument: &DataType) -> Option<DataType> {
        let summed = matches!(self.statistic, Statistic::Sum | Statistic::Average);
        Some(match argument {
            DataType::Dictionary(_, values) => self.coerced(values)?,
            DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Float64,
            DataType::Null if self.statistic == Statistic::Sum => DataType::Int64,
            DataType::Null => DataType::Float64,
            number if number.is_numeric() && !summed => DataType::Float64,
            DataType::Int8 | DataType::Int16 | DataType::Int32 => DataType::Int32,
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => DataType::UInt32,
            DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                DataType::Decimal128(*precision, *scale)
            }
            DataType::Int64 | DataType::UInt64 | DataType::Decimal128(..) | DataType::Decimal256(..) => {
                argument.clone()
            }
            DataType::Duration(_) if summed => argument.clone(),
            DataType::Interval(_) if self.statistic == Statistic::Sum => DataType::Interval(IntervalUnit::MonthDayNano),
            _ => return None,
        })
    }

    fn shape(&self, arguments: &AccumulatorArgs<'_>) -> Shape {
        Shape {
            statistic: self.statistic,
            name: arguments.name.into(),
            argument: arguments.expr_fields.first().map_or(DataType::Null, |field| field.data_type().clone()),
            answer: arguments.return_type().clone(),
        }
    }
}

impl AggregateUDFImpl for Exactly {
    fn name(&self) -> &str {
        self.original.name()
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let columns = self.statistic.columns();
        if arguments.len() != columns {
            return plan_err!("`{}` takes {columns} argument(s), not {}", self.name(), arguments.len());
        }
        let coerced = |argument| match self.coerced(argument) {
            Some(coerced) => Ok(coerced),
            None => plan_err!("`{}` takes numbers, not {argument}: write CAST(.. AS DOUBLE)", self.name()),
        };
        arguments.iter().map(coerced).collect()
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let summed = self.statistic == Statistic::Sum;
        let digits = if summed { 10 } else { 4 };
        let more_scale = if summed { 0 } else { 4 };
        Ok(match (self.statistic, arguments.first()) {
            (Statistic::Count, _) => DataType::UInt64,
            (Statistic::Sum, Some(DataType::Int32)) => DataType::Int64,
            (Statistic::Sum, Some(DataType::UInt32)) => DataType::UInt64,
            (Statistic::Sum, Some(DataType::Int64 | DataType::UInt64)) => {
                DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0)
            }
            (Statistic::Sum | Statistic::Average, Some(DataType::Decimal128(precision, scale))) => {
                DataType::Decimal128(
                    (precision + digits).min(DECIMAL128_MAX_PRECISION),
                    (scale + more_scale).min(DECIMAL128_MAX_SCALE),
                )
            }
            (Statistic::Sum | Statistic::Average, Some(DataType::Decimal256(precision, scale))) => {
                DataType::Decimal256(
                    (precision + digits).min(DECIMAL256_MAX_PRECISION),
                    (scale + more_scale).min(DECIMAL256_MAX_SCALE),
                )
            }
            (Statistic::Sum | Statistic::Average, Some(same @ (DataType::Duration(_) | DataType::Interval(_)))) => {
                same.clone()
            }
            _ => DataType::Float64,
        })
    }

    fn state_fields(&self, arguments: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let argument = arguments.input_fields.first().map_or(&DataType::Null, |field| field.data_type());
        Ok(match arguments.is_distinct {
            true => vec![Distinct::state_field(arguments.name, argument)],
            false => Shape::state_fields(self.statistic, arguments.name, argument),
        })
    }

    fn accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let shape = self.shape(&arguments);
        Ok(match arguments.is_distinct {
            true if self.statistic.columns() > 1 => {
                return plan_err!("`{}(DISTINCT ..)` of pairs is not supported", self.name());
            }
            true => Box::new(Distinct::new(shape)?),
            false => Box::new(Alone::new(shape)),
        })
    }

    fn create_sliding_accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        match arguments.is_distinct {
            true => self.accumulator(arguments),
            false => Ok(Box::new(Alone::sliding(self.shape(&arguments)))),
        }
    }

    fn groups_accumulator_supported(&self, arguments: AccumulatorArgs<'_>) -> bool {
        !arguments.is_distinct
    }

    fn create_groups_accumulator(&self, arguments: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Moments::new(self.shape(&arguments))))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.original.documentation()
    }
}
