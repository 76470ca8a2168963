//! `approx_percentile_bounds`: a percentile by t-digest, between the values whose ranks are as far below and above as
//! the digest may err.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, StructArray};
use arrow::compute::{cast, filter, is_not_null};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Float64Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};
use datafusion_functions_aggregate_common::tdigest::TDigest;

use super::{canonical, constant, refuse_distinct};

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Percentile {
    signature: Signature,
}

impl Percentile {
    pub(super) fn new() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

/// Number of centroids of a digest.
const CENTROIDS: usize = 100;
/// Greatest error of an answer's rank, in the middle of the distribution. A digest of 100 centroids errs by about one
/// centroid; merged digests by somewhat more.
const RANK_ERROR: f64 = 0.02;

/// `{lower, estimate, upper}`.
fn bounds() -> Fields {
    let number = |name| Field::new(name, DataType::Float64, true);
    vec![number("lower"), number("estimate"), number("upper")].into()
}

impl AggregateUDFImpl for Percentile {
    fn name(&self) -> &'static str {
        "approx_percentile_bounds"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [value, _] if value.is_numeric() || value.is_null() => Ok(DataType::Struct(bounds())),
            _ => plan_err!("`approx_percentile_bounds(x, p)` takes a number and a percentile from 0 to 1"),
        }
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        refuse_distinct(&args)?;
        let at = constant(&args, 1).and_then(|at| at.cast_to(&DataType::Float64).ok());
        match at {
            Some(ScalarValue::Float64(Some(at))) if (0.0..=1.0).contains(&at) => {
                Ok(Box::new(QuantileDigest { at, digest: TDigest::new(CENTROIDS) }))
            }
            _ => plan_err!("`approx_percentile_bounds(x, p)`: `p` is a number from 0 to 1, written as one"),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let field = |(part, of): (&str, &ScalarValue)| {
            Arc::new(Field::new(format_state_name(args.name, part), of.data_type(), true))
        };
        let parts = ["max_size", "sum", "count", "max", "min", "centroids"];
        Ok(parts.into_iter().zip(&TDigest::new(CENTROIDS).to_scalar_state()).map(field).collect())
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug)]
struct QuantileDigest {
    at: f64,
    digest: TDigest,
}

impl Accumulator for QuantileDigest {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = cast(&values[0], &DataType::Float64)?;
        let values = filter(values.as_ref(), &is_not_null(values.as_ref())?)?;
        let values = canonical(&values);
        let numbers = values.as_primitive::<Float64Type>().values().to_vec();
        if !numbers.is_empty() {
            self.digest = self.digest.merge_unsorted_f64(numbers);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = states.first().map_or(0, |column| column.len());
        let mut digests = vec![self.digest.clone()];
        for row in 0..rows {
            let state = states.iter().map(|column| ScalarValue::try_from_array(column, row));
            digests.push(TDigest::from_scalar_state(&state.collect::<Result<Vec<_>>>()?));
        }
        digests.retain(|digest| digest.count() > 0.0);
        if !digests.is_empty() {
            self.digest = TDigest::merge_digests(&digests);
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(self.digest.to_scalar_state())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let numbers = match self.digest.count() > 0.0 {
            false => [None; 3],
            true => {
                let ranks = [self.at - RANK_ERROR, self.at, self.at + RANK_ERROR];
                let [lower, estimate, upper] = ranks.map(|rank| self.digest.estimate_quantile(rank.clamp(0.0, 1.0)));
                [Some(lower.min(estimate)), Some(estimate), Some(upper.max(estimate))]
            }
        };
        let columns = numbers.map(|number| Arc::new(Float64Array::from(vec![number])) as ArrayRef);
        Ok(ScalarValue::Struct(Arc::new(StructArray::try_new(bounds(), columns.to_vec(), None)?)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.digest.size()
    }
}
