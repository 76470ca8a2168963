//! Whatever the cuts and the order of merging, the same bits; and the bits are those of exact arithmetic, which the
//! tests do in their own way: all floats as multiples of 2^-1074, and rounding by the parser of decimal numbers.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use num_bigint::BigInt;
use proptest::prelude::*;

use super::alone::Alone;
use super::moments::{Moments, Shape};
use super::statistic::{Divisor, Statistic};

const ALL: [Statistic; 15] = [
    Statistic::Sum,
    Statistic::Average,
    Statistic::Variance(Divisor::Sample),
    Statistic::Variance(Divisor::Population),
    Statistic::Deviation(Divisor::Sample),
    Statistic::Covariance(Divisor::Sample),
    Statistic::Covariance(Divisor::Population),
    Statistic::Correlation,
    Statistic::Slope,
    Statistic::Intercept,
    Statistic::R2,
    Statistic::AverageX,
    Statistic::Sxx,
    Statistic::Syy,
    Statistic::Sxy,
];

fn shape(statistic: Statistic) -> Shape {
    Shape { statistic, name: "f(x)".into(), argument: DataType::Float64, answer: DataType::Float64 }
}

fn float(values: impl IntoIterator<Item = f64>) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(values))
}

/// `numerator / denominator` as the nearest float, by way of its decimal digits.
fn nearest(numerator: &BigInt, denominator: &BigInt) -> f64 {
    if *numerator == BigInt::ZERO {
        return 0.0;
    }
    // Enough digits for the least float over the greatest square.
    let digits = 1_600u32;
    let scaled: BigInt = numerator * BigInt::from(10).pow(digits);
    let whole = &scaled / denominator;
    // One more digit stands for whatever is left.
    let left = if &whole * denominator == scaled { "0" } else { "1" };
    format!("{whole}{left}e-{}", digits + 1).parse().unwrap()
}

/// A finite float times 2^1074.
fn fixed(value: f64) -> BigInt {
    let bits = value.to_bits();
    let exponent = (bits >> 52) & 0x7ff;
    let fraction = bits & ((1 << 52) - 1);
    let magnitude =
        if exponent == 0 { BigInt::from(fraction) } else { BigInt::from(fraction | (1 << 52)) << (exponent - 1) };
    if value.is_sign_negative() { -magnitude } else { magnitude }
}

fn unit() -> BigInt {
    BigInt::from(1) << 1074
}

fn exact_sum(values: &[f64]) -> BigInt {
    values.iter().map(|value| fixed(*value)).sum()
}

/// `n * sum(x * y) - sum(x) * sum(y)`, times 2^2148.
fn exact_products(x: &[f64], y: &[f64]) -> BigInt {
    let products: BigInt = x.iter().zip(y).map(|(x, y)| fixed(*x) * fixed(*y)).sum();
    products * BigInt::from(x.len()) - exact_sum(x) * exact_sum(y)
}

/// Any finite float whose square is finite when there are some of them, from everywhere in the range of exponents.
fn anywhere() -> impl Strategy<Value = f64> {
    (any::<bool>(), -1080..500i32, 1.0..2.0f64).prop_map(|(negative, exponent, fraction)| {
        let value = fraction * 2f64.powi(exponent / 2) * 2f64.powi(exponent - exponent / 2);
        if negative { -value } else { value }
    })
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        6 => anywhere(),
        4 => -1e6..1e6f64,
        2 => (-1_000_000..1_000_000i32).prop_map(|cents| f64::from(cents) / 100.0),
        1 => Just(-0.0),
        1 => Just(1e9 + 0.1),
    ]
}

/// Rows of groups 0 to 2, cut into pieces that are merged in some order, every other time as states.
fn folded(statistic: Statistic, rows: &[(usize, f64, f64)], cuts: &[usize], merges: &[usize]) -> Vec<Option<u64>> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (rows.len() + 1)).chain([rows.len()]).collect();
    ends.sort_unstable();
    let mut from = 0;
    let mut states = vec![];
    for end in ends {
        let mut moments = Moments::new(shape(statistic));
        let columns = [float(rows[from..end].iter().map(|row| row.1)), float(rows[from..end].iter().map(|row| row.2))];
        let groups: Vec<usize> = rows[from..end].iter().map(|row| row.0).collect();
        moments.update_batch(&columns[..statistic.columns()], &groups, None, 3).unwrap();
        states.push(moments.state(EmitTo::All).unwrap());
        from = end;
    }
    for merge in merges {
        let left = states.swap_remove(merge % states.len());
        let Some(right) = states.pop() else {
            states.push(left);
            break;
        };
        let mut both = Moments::new(shape(statistic));
        both.merge_batch(&right, &[0, 1, 2], 3).unwrap();
        both.merge_batch(&left, &[0, 1, 2], 3).unwrap();
        states.push(both.state(EmitTo::All).unwrap());
    }
    let mut all = Moments::new(shape(statistic));
    for state in &states {
        all.merge_batch(state, &[0, 1, 2], 3).unwrap();
    }
    let answer = all.evaluate(EmitTo::All).unwrap();
    answer.as_primitive::<Float64Type>().iter().map(|value| value.map(f64::to_bits)).collect()
}

fn rows() -> impl Strategy<Value = Vec<(usize, f64, f64)>> {
    prop::collection::vec((0..3usize, value(), value()), 0..40)
}

fn numbers() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(any::<usize>(), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_cut_and_order_gives_the_same_bits(rows in rows(), cuts in numbers(), merges in numbers(), seed in any::<u64>()) {
        let mut shuffled = rows.clone();
        shuffled.sort_by_key(|row| (row.1.to_bits() ^ row.2.to_bits()).wrapping_mul(seed | 1));
        for statistic in ALL {
            // A value beyond a float is an error in both, and not the question here.
            if matches!(statistic, Statistic::Slope | Statistic::Intercept) && rows.iter().any(|row| row.2.abs() > 1e10 || row.2.abs() < 1e-10) {
                continue;
            }
            let whole = folded(statistic, &rows, &[], &[]);
            prop_assert_eq!(&folded(statistic, &shuffled, &cuts, &merges), &whole, "{:?}", statistic);
        }
    }

    #[test]
    fn sums_averages_and_variances_are_the_nearest_floats(rows in rows()) {
        let values = |group| rows.iter().filter(|row| row.0 == group).map(|row| row.1).collect::<Vec<f64>>();
        for group in 0..3 {
            let x = values(group);
            let n = BigInt::from(x.len());
            let got = |statistic| folded(statistic, &rows, &[], &[])[group].map(f64::from_bits);
            prop_assert_eq!(got(Statistic::Sum), (!x.is_empty()).then(|| nearest(&exact_sum(&x), &unit())));
            prop_assert_eq!(got(Statistic::Average), (!x.is_empty()).then(|| nearest(&exact_sum(&x), &(unit() * &n))));
            let pairs: BigInt = &n * (&n - 1) * unit() * unit();
            let variance = || nearest(&exact_products(&x, &x), &pairs);
            prop_assert_eq!(got(Statistic::Variance(Divisor::Sample)), (x.len() > 1).then(variance));
        }
    }

    #[test]
    fn infinities_and_nan_are_the_same_in_every_order(
        rows in prop::collection::vec((0..3usize, prop::sample::select(vec![1.0, -2.5, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -f64::NAN])), 0..8),
        cuts in numbers(),
        merges in numbers(),
    ) {
        let rows: Vec<_> = rows.into_iter().map(|(group, x)| (group, x, 3.0 * x)).collect();
        let mut backwards = rows.clone();
        backwards.reverse();
        for statistic in ALL {
            prop_assert_eq!(folded(statistic, &backwards, &cuts, &merges), folded(statistic, &rows, &[], &[]), "{:?}", statistic);
        }
    }

    #[test]
    fn a_window_that_moves_answers_as_a_fold_of_what_it_holds(x in prop::collection::vec(prop_oneof![9 => value(), 1 => Just(f64::INFINITY)], 1..20), width in 1..6usize) {
        for statistic in [Statistic::Sum, Statistic::Average, Statistic::Variance(Divisor::Sample)] {
            let mut window = Alone::sliding(shape(statistic));
            for end in 1..=x.len() {
                window.update_batch(&[float([x[end - 1]])]).unwrap();
                if end > width {
                    window.retract_batch(&[float([x[end - 1 - width]])]).unwrap();
                }
                let mut fresh = Alone::new(shape(statistic));
                fresh.update_batch(&[float(x[end.saturating_sub(width)..end].iter().copied())]).unwrap();
                prop_assert_eq!(window.evaluate().unwrap(), fresh.evaluate().unwrap());
            }
        }
    }
}

#[track_caller]
fn check(statistic: Statistic, y: &[f64], x: &[f64], expected: Option<f64>) {
    let rows: Vec<_> = y.iter().zip(x).map(|(y, x)| (0, *y, *x)).collect();
    let got = folded(statistic, &rows, &[1, 3], &[0, 1])[0].map(f64::from_bits);
    assert_eq!(got, expected, "{statistic:?}");
}

/// Expected values from Python: `math.fsum`, and `fractions.Fraction` for everything else.
#[test]
fn known_values() {
    check(Statistic::Sum, &[0.1; 10], &[0.0; 10], Some(1.0));
    check(Statistic::Sum, &[1e100, 1.0, -1e100], &[0.0; 3], Some(1.0));
    check(Statistic::Sum, &[1e308, 1e308, -1e308], &[0.0; 3], Some(1e308));
    check(Statistic::Average, &[1.7e308, 1.7e308], &[0.0; 2], Some(1.7e308));
    let near = [1000000000.1, 1000000000.2, 1000000000.3, 1000000000.4];
    let y = [2.0, 4.1, 5.9, 8.2];
    check(Statistic::Variance(Divisor::Sample), &near, &near, Some(0.016666658719382593));
    check(Statistic::Deviation(Divisor::Sample), &near, &near, Some(0.12909941409387804));
    check(Statistic::Slope, &y, &near, Some(20.400005054473965));
    check(Statistic::Intercept, &y, &near, Some(-20400005054.523968));
    check(Statistic::R2, &y, &near, Some(0.9979856301725676));
    check(Statistic::Correlation, &y, &near, Some(0.9989923073640595));
    check(Statistic::Covariance(Divisor::Sample), &y, &near, Some(0.33999992211659746));
    check(Statistic::Covariance(Divisor::Population), &y, &near, Some(0.2549999415874481));
    check(Statistic::Sxx, &y, &near, Some(0.049999976158147774));
    check(Statistic::Syy, &y, &near, Some(20.849999999999998));
    check(Statistic::Sxy, &y, &near, Some(1.0199997663497924));
}

/// As PostgreSQL: `SELECT corr(y, x), regr_slope(y, x), regr_r2(y, x), var_samp(y) ..`.
#[test]
fn null_where_postgresql_says_so() {
    check(Statistic::Variance(Divisor::Sample), &[1.0], &[1.0], None);
    check(Statistic::Variance(Divisor::Population), &[1.0], &[1.0], Some(0.0));
    check(Statistic::Correlation, &[1.0, 2.0], &[3.0, 3.0], None);
    check(Statistic::Correlation, &[1.0, 1.0], &[3.0, 4.0], None);
    check(Statistic::Correlation, &[1.0, 2.0, 3.0], &[-2.0, -4.0, -6.0], Some(-1.0));
    check(Statistic::Slope, &[1.0, 2.0], &[3.0, 3.0], None);
    check(Statistic::R2, &[1.0, 1.0], &[3.0, 4.0], Some(1.0));
    check(Statistic::R2, &[1.0, 2.0], &[3.0, 3.0], None);
}

fn integers(argument: DataType, answer: DataType, statistic: Statistic, values: ArrayRef) -> Result<ArrayRef, String> {
    let shape = Shape { statistic, name: "sum(x)".into(), argument, answer };
    let mut halves = vec![];
    for half in [values.slice(0, values.len() / 2), values.slice(values.len() / 2, values.len() - values.len() / 2)] {
        let mut moments = Moments::new(shape.clone());
        moments.update_batch(std::slice::from_ref(&half), &vec![0; half.len()], None, 1).unwrap();
        halves.push(moments.state(EmitTo::All).unwrap());
    }
    let mut moments = Moments::new(shape);
    for half in &halves {
        moments.merge_batch(half, &[0], 1).unwrap();
    }
    moments.evaluate(EmitTo::All).map_err(|error| error.strip_backtrace())
}

/// Expected values from PostgreSQL.
#[test]
fn sums_of_integers_widen_and_those_of_decimals_fail_at_their_end() {
    let most: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX; 2]));
    let wide = DataType::Decimal128(38, 0);
    let sum = integers(DataType::Int64, wide, Statistic::Sum, Arc::clone(&most)).unwrap();
    assert_eq!(sum.as_primitive::<Decimal128Type>().value(0), 18_446_744_073_709_551_614);
    let average = integers(DataType::Int64, DataType::Float64, Statistic::Average, Arc::clone(&most)).unwrap();
    assert_eq!(average.as_primitive::<Float64Type>().value(0), 9_223_372_036_854_775_807.0);
    let durations = cast(&most, &DataType::Duration(arrow::datatypes::TimeUnit::Nanosecond)).unwrap();
    let same = durations.data_type().clone();
    let error = integers(same.clone(), same.clone(), Statistic::Sum, Arc::clone(&durations)).unwrap_err();
    assert!(error.contains("`sum(x)` of a group is out of range for Duration"), "{error}");
    let average = integers(same.clone(), same, Statistic::Average, durations).unwrap();
    assert_eq!(cast(&average, &DataType::Int64).unwrap().as_primitive::<Int64Type>().value(0), i64::MAX);

    let decimal = DataType::Decimal128(38, 2);
    let most = 10i128.pow(38) - 1;
    let decimals = |values: Vec<i128>| {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(38, 2).unwrap()) as ArrayRef
    };
    let error = integers(decimal.clone(), decimal.clone(), Statistic::Sum, decimals(vec![most, 1])).unwrap_err();
    assert!(error.contains("`sum(x)` of a group is out of range for DECIMAL(38, 2)"), "{error}");
    // Beyond its end and back again: the accumulator does not mind.
    let back = integers(decimal.clone(), decimal.clone(), Statistic::Sum, decimals(vec![most, most, -most, -5]));
    assert_eq!(back.unwrap().as_primitive::<Decimal128Type>().value(0), most - 5);
    let thirds = DataType::Decimal128(38, 6);
    let rounded = integers(decimal.clone(), thirds.clone(), Statistic::Average, decimals(vec![100, 100, 0])).unwrap();
    assert_eq!(rounded.as_primitive::<Decimal128Type>().value(0), 666_667);
    let rounded = integers(decimal, thirds, Statistic::Average, decimals(vec![-100, -100, 0])).unwrap();
    assert_eq!(rounded.as_primitive::<Decimal128Type>().value(0), -666_667);
}

#[test]
fn a_sum_too_large_for_a_float_is_an_error_that_names_it() {
    let mut moments = Moments::new(shape(Statistic::Sum));
    moments.update_batch(&[float([1e308, 1e308])], &[0, 0], None, 1).unwrap();
    let error = moments.evaluate(EmitTo::All).unwrap_err().strip_backtrace();
    assert!(error.contains("`f(x)` of a group is out of range for DOUBLE"), "{error}");
}

#[test]
fn emitting_some_groups_leaves_the_others() {
    let mut moments = Moments::new(shape(Statistic::Sum));
    let values = float([1.0, 1e300, 2.0, 1e-300, 1e-300, 1e300, 5.0]);
    moments.update_batch(&[values], &[0, 1, 2, 1, 3, 3, 4], None, 5).unwrap();
    let first = moments.evaluate(EmitTo::First(2)).unwrap();
    assert_eq!(first.as_primitive::<Float64Type>().values(), &[1.0, 1e300]);
    moments.update_batch(&[float([-1e300])], &[1], None, 3).unwrap();
    let rest = moments.evaluate(EmitTo::All).unwrap();
    assert_eq!(rest.as_primitive::<Float64Type>().values(), &[2.0, 1e-300, 5.0]);
}
