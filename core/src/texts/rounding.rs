//! The rule by which times are rounded, in streams, lookups, casts and parameters alike. It is PostgreSQL's:
//!
//! 1. A fraction of a second becomes the nearest microsecond; PostgreSQL computes it as a double, and so a fraction
//!    in the middle of two becomes the even one, nearly always.
//! 2. A type of fewer digits then takes the nearest of its units, half a unit away from 2000-01-01, from where
//!    PostgreSQL counts.
//!
//! Rounding comes before zones: a time that rounds up to the next second is the local time's next second.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::FormatOptions;

const MICROS: i64 = 1_000_000;
const NANOS: i64 = 1_000_000_000;
/// 2000-01-01, in microseconds since 1970.
const EPOCH_OF_POSTGRESQL: i64 = 946_684_800 * MICROS;
/// Number of digits that a double has exactly.
const EXACT_DIGITS: usize = 15;

/// Microseconds of the `digits` behind a point, which must be digits only; 0 to 1,000,000.
pub fn micros(digits: &str) -> i64 {
    let fraction = match digits.len() {
        0 => 0.0,
        // Both are exact, so their quotient is the double nearest to the fraction.
        n @ 1..=EXACT_DIGITS => {
            digits.bytes().fold(0.0, |number, digit| number * 10.0 + f64::from(digit.wrapping_sub(b'0')))
                / 10_f64.powi(n as i32)
        }
        _ => format!("0.{digits}").parse().unwrap_or(0.0),
    };
    nearest(fraction)
}

/// Microseconds of nanoseconds of a second; 0 to 1,000,000.
pub fn micros_of_nanos(nanos: u32) -> i64 {
    nearest(f64::from(nanos) / NANOS as f64)
}

fn nearest(fraction: f64) -> i64 {
    (fraction * MICROS as f64).round_ties_even() as i64
}

/// Microseconds since 1970 of nanoseconds since 1970.
fn instant_of_nanos(nanos: i64) -> i64 {
    // The remainder of a second fits into 32 bits.
    nanos.div_euclid(NANOS) * MICROS + micros_of_nanos(nanos.rem_euclid(NANOS) as u32)
}

/// Seconds and microseconds since 1970 in `unit`s; `None` beyond the unit's range.
pub fn in_unit(seconds: i64, micros: i64, unit: TimeUnit) -> Option<i64> {
    let micros = seconds.checked_mul(MICROS)?.checked_add(micros)?;
    match unit {
        TimeUnit::Second => coarser(micros, MICROS),
        TimeUnit::Millisecond => coarser(micros, 1_000),
        TimeUnit::Microsecond => Some(micros),
        TimeUnit::Nanosecond => micros.checked_mul(1_000),
    }
}

/// The nearest multiple of a unit of so many microseconds.
fn coarser(micros: i64, unit: i64) -> Option<i64> {
    let since = micros.checked_sub(EPOCH_OF_POSTGRESQL)?;
    let away = since.checked_add(since.signum() * (unit / 2))?;
    Some(away / unit + EPOCH_OF_POSTGRESQL / unit)
}

/// Timestamps in another unit, of the same zone.
///
/// # Errors
/// When a timestamp is beyond the unit's range, or when the column has none.
pub fn timestamps_in(array: &ArrayRef, unit: TimeUnit) -> Result<ArrayRef, ArrowError> {
    let DataType::Timestamp(from, zone) = array.data_type() else {
        return Err(ArrowError::CastError(format!("{} is no timestamp", array.data_type())));
    };
    let to = DataType::Timestamp(unit, zone.clone());
    match (from, unit) {
        (TimeUnit::Nanosecond, TimeUnit::Nanosecond) => Ok(Arc::clone(array)),
        (TimeUnit::Nanosecond, _) => {
            let micros = each(array, |nanos| Some(instant_of_nanos(nanos)))?;
            timestamps_in(&strictly(&micros, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?, unit)
        }
        (TimeUnit::Microsecond, TimeUnit::Millisecond) => strictly(&each(array, |at| coarser(at, 1_000))?, &to),
        (TimeUnit::Microsecond, TimeUnit::Second) => strictly(&each(array, |at| coarser(at, MICROS))?, &to),
        (TimeUnit::Millisecond, TimeUnit::Second) => {
            timestamps_in(&timestamps_in(array, TimeUnit::Microsecond)?, TimeUnit::Second)
        }
        _ => strictly(array, &to),
    }
}

fn each(array: &ArrayRef, change: impl Fn(i64) -> Option<i64>) -> Result<ArrayRef, ArrowError> {
    let out_of_range = |at: i64| ArrowError::CastError(format!("timestamp out of range: {at}"));
    let instants = strictly(array, &DataType::Int64)?;
    let changed: Int64Array =
        instants.as_primitive::<Int64Type>().try_unary(|at| change(at).ok_or_else(|| out_of_range(at)))?;
    Ok(Arc::new(changed))
}

fn strictly(array: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    cast_with_options(array, to, &CastOptions { safe: false, format_options: FormatOptions::new() })
}

#[cfg(test)]
mod tests {
    use arrow::array::{TimestampMicrosecondArray, TimestampNanosecondArray};

    use super::*;

    /// PostgreSQL 15's `SELECT extract(microseconds from ('2026-03-01 00:00:00.' || digits)::timestamp)`.
    #[test]
    fn fractions_are_rounded_as_postgresql_rounds_them() {
        for (digits, rounded) in [
            ("", 0),
            ("5", 500_000),
            ("123456", 123_456),
            ("1234564", 123_456),
            ("1234565", 123_456),
            ("1234575", 123_458),
            ("0001255", 125),
            ("123456501", 123_457),
            ("999999500", 1_000_000),
            ("9999994", 999_999),
            ("00000050000000000001", 1),
            ("12345649999999999999", 123_456),
        ] {
            assert_eq!(micros(digits), rounded, "{digits}");
        }
    }

    #[test]
    fn nanoseconds_are_rounded_as_their_digits_are() {
        for nanos in (0..1_000_000_000_u32).step_by(999_500).chain([125_500, 123_456_500, 999_999_999]) {
            assert_eq!(micros_of_nanos(nanos), micros(&format!("{nanos:09}")), "{nanos}");
        }
        assert_eq!((instant_of_nanos(-1), instant_of_nanos(-501), instant_of_nanos(1_500)), (0, -1, 2));
        assert_eq!(instant_of_nanos(i64::MIN), -9_223_372_036_854_776);
    }

    /// PostgreSQL 15's `'..'::timestamp(0)` and `(3)`.
    #[test]
    fn fewer_digits_are_rounded_away_from_2000() {
        let year_2000 = 946_684_800;
        for (seconds, micros, unit, rounded) in [
            (year_2000, 500_000, TimeUnit::Second, year_2000 + 1),
            (year_2000 - 2, 500_000, TimeUnit::Second, year_2000 - 2),
            (year_2000 - 2, 500_001, TimeUnit::Second, year_2000 - 1),
            (0, 499_999, TimeUnit::Second, 0),
            (1_772_323_200, 1_500, TimeUnit::Millisecond, 1_772_323_200_002),
            (0, 1_500, TimeUnit::Millisecond, 1),
            (-1, 999_999, TimeUnit::Microsecond, -1),
        ] {
            assert_eq!(in_unit(seconds, micros, unit), Some(rounded), "{seconds} {micros} {unit:?}");
        }
    }

    #[test]
    fn columns_are_rounded_alike() {
        let of = |array: &ArrayRef, unit| -> Vec<i64> {
            let rounded = strictly(&timestamps_in(array, unit).unwrap(), &DataType::Int64).unwrap();
            rounded.as_primitive::<Int64Type>().values().to_vec()
        };
        let nanos: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![-501, 1_500, 999_999_999]));
        assert_eq!(of(&nanos, TimeUnit::Microsecond), [-1, 2, 1_000_000]);
        assert_eq!(of(&nanos, TimeUnit::Second), [0, 0, 1]);
        let micros: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![946_684_800_500_000, -500_000]));
        assert_eq!(of(&micros, TimeUnit::Second), [946_684_801, -1]);
        assert_eq!(of(&micros, TimeUnit::Millisecond), [946_684_800_500, -500]);
        let far: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![i64::MAX]));
        assert!(timestamps_in(&far, TimeUnit::Nanosecond).is_err());
    }

    #[test]
    fn what_a_unit_does_not_reach_is_none() {
        assert_eq!(in_unit(i64::MAX / 1_000_000 + 1, 0, TimeUnit::Second), None);
        assert_eq!(in_unit(9_223_372_037, 0, TimeUnit::Nanosecond), None);
        assert_eq!(coarser(i64::MIN, 1_000), None);
    }
}
