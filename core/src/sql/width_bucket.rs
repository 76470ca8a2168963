//! `width_bucket(x, low, high, count)`: the number of the one of `count` equal parts of the range that holds `x`; 0
//! below the range, and `count + 1` from its end on.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Decimal256Type, Float64Type, Int64Type, i256};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::ScalarUDF;

use super::function::Function;

/// The type in which exact numbers are compared: digits in all, and behind the point.
const EXACT: DataType = DataType::Decimal256(57, 19);

pub(super) fn width_bucket() -> Arc<ScalarUDF> {
    Function::new("width_bucket", types, |arguments, _| {
        let counts = arguments[3].as_primitive::<Int64Type>();
        let buckets: Int64Array = match arguments[0].data_type() {
            DataType::Float64 => {
                let [x, low, high] = [0, 1, 2].map(|at| arguments[at].as_primitive::<Float64Type>());
                let rows = x.iter().zip(low).zip(high).zip(counts);
                rows.map(|(((x, low), high), count)| all(x, low, high, count, of_floats)).collect::<Result<_>>()?
            }
            _ => {
                let [x, low, high] = [0, 1, 2].map(|at| arguments[at].as_primitive::<Decimal256Type>());
                let rows = x.iter().zip(low).zip(high).zip(counts);
                rows.map(|(((x, low), high), count)| all(x, low, high, count, of_decimals)).collect::<Result<_>>()?
            }
        };
        Ok(Arc::new(buckets) as ArrayRef)
    })
    .udf()
}

fn types(types: &[DataType]) -> Result<(Vec<DataType>, DataType)> {
    let [numbers @ .., count] = types else { return plan_err!("`width_bucket` takes four numbers") };
    let are_numbers = |types: &[DataType]| types.iter().all(|number| number.is_numeric() || number.is_null());
    if numbers.len() != 3 || !are_numbers(types) || !(count.is_integer() || count.is_null()) {
        return plan_err!("`width_bucket` takes a number, two bounds and a whole number of buckets");
    }
    let number = if numbers.iter().any(DataType::is_floating) { DataType::Float64 } else { EXACT };
    Ok((vec![number.clone(), number.clone(), number, DataType::Int64], DataType::Int64))
}

fn all<N>(
    x: Option<N>,
    low: Option<N>,
    high: Option<N>,
    count: Option<i64>,
    bucket: impl Fn(N, N, N, i64) -> Result<i64>,
) -> Result<Option<i64>> {
    let (Some(x), Some(low), Some(high), Some(count)) = (x, low, high, count) else { return Ok(None) };
    // PostgreSQL's count is an INTEGER.
    if !(1..i64::from(i32::MAX)).contains(&count) {
        return exec_err!("count must be greater than zero, and less than {}", i32::MAX);
    }
    bucket(x, low, high, count).map(Some)
}

/// PostgreSQL's `width_bucket_float8`.
fn of_floats(x: f64, low: f64, high: f64, count: i64) -> Result<i64> {
    if x.is_nan() || low.is_nan() || high.is_nan() {
        return exec_err!("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return exec_err!("lower and upper bounds must be finite");
    }
    if low == high {
        return exec_err!("lower bound cannot equal upper bound");
    }
    let (x, low, high) = if low < high { (x, low, high) } else { (-x, -low, -high) };
    if x < low {
        return Ok(0);
    }
    if x >= high {
        return Ok(count + 1);
    }
    // The span of the whole range may be beyond a float.
    let part = if (high - low).is_finite() {
        (x - low) / (high - low)
    } else {
        (x / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)
    };
    Ok(((part * count as f64) as i64).min(count - 1) + 1)
}

fn of_decimals(x: i256, low: i256, high: i256, count: i64) -> Result<i64> {
    if low == high {
        return exec_err!("lower bound cannot equal upper bound");
    }
    let negated = |number: i256| number.wrapping_neg();
    let (x, low, high) = if low < high { (x, low, high) } else { (negated(x), negated(low), negated(high)) };
    if x < low {
        return Ok(0);
    }
    if x >= high {
        return Ok(count + 1);
    }
    let bucket = x
        .checked_sub(low)
        .and_then(|part| part.checked_mul(i256::from(count)))
        .zip(high.checked_sub(low))
        .and_then(|(part, span)| part.checked_div(span))
        .and_then(i256::to_i128);
    match bucket.and_then(|bucket| i64::try_from(bucket).ok()) {
        Some(bucket) => Ok(bucket + 1),
        None => exec_err!("numeric field overflow: the bounds of `width_bucket` are too far apart"),
    }
}
