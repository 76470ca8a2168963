//! Floats from text: numbers within the type's range. There is one NaN.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::compute::kernels::cast_utils::Parser;
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use std::sync::Arc;

/// The operations on floats of either width.
pub trait Float: Copy + Sized {
    /// The one NaN of the type.
    const NAN: Self;
    /// Parses a number with arrow's parser; a number beyond the range becomes infinite.
    fn parse(text: &str) -> Option<Self>;
    /// Whether the value is NaN.
    fn is_nan(self) -> bool;
    /// Whether the value is infinite.
    fn is_infinite(self) -> bool;
}

macro_rules! float {
    ($float:ty, $arrow:ty) => {
        impl Float for $float {
            const NAN: Self = <$float>::NAN;
            fn parse(text: &str) -> Option<Self> {
                <$arrow as Parser>::parse(text)
            }
            fn is_nan(self) -> bool {
                <$float>::is_nan(self)
            }
            fn is_infinite(self) -> bool {
                <$float>::is_infinite(self)
            }
        }
    };
}

float!(f32, Float32Type);
float!(f64, Float64Type);

/// The float; `None` when `text` is no number or beyond the type's range. Only a text that says so is infinite.
pub fn float<F: Float>(text: &str) -> Option<F> {
    let text = text.trim_ascii();
    let value = F::parse(text)?;
    if value.is_nan() {
        return Some(F::NAN);
    }
    let says_so = || text.trim_start_matches(['+', '-']).starts_with(['i', 'I']);
    (!value.is_infinite() || says_so()).then_some(value)
}

/// The column with the one NaN in place of NaNs with a sign or a payload.
pub fn one_nan(column: &ArrayRef) -> ArrayRef {
    fn of<T: ArrowPrimitiveType>(column: &ArrayRef) -> ArrayRef
    where
        T::Native: Float,
    {
        let floats = column.as_primitive::<T>();
        if !floats.values().iter().any(|value| value.is_nan()) {
            return Arc::clone(column);
        }
        Arc::new(floats.unary::<_, T>(|value| if value.is_nan() { T::Native::NAN } else { value }))
    }
    match column.data_type() {
        DataType::Float32 => of::<Float32Type>(column),
        DataType::Float64 => of::<Float64Type>(column),
        _ => Arc::clone(column),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Float64Array;

    use super::*;

    #[test]
    fn infinity_is_only_what_says_so() {
        for text in ["1e400", "-1e400", "1e309", "9e99999"] {
            assert_eq!(float::<f64>(text), None, "{text}");
        }
        assert_eq!((float::<f32>("1e39"), float::<f64>("1e39")), (None, Some(1e39)));
        assert_eq!(float::<f32>("3.4028235e38"), Some(f32::MAX));
        assert_eq!(float::<f64>(" Infinity "), Some(f64::INFINITY));
        assert_eq!((float::<f64>("-inf"), float::<f32>("+INF")), (Some(f64::NEG_INFINITY), Some(f32::INFINITY)));
        assert_eq!((float::<f64>("1,5"), float::<f64>("x"), float::<f64>("1.5 2")), (None, None, None));
        assert_eq!(float::<f64>("4.9e-324"), Some(5e-324));
    }

    #[test]
    fn there_is_one_nan() {
        let bits = |text| float::<f64>(text).map(f64::to_bits);
        for text in ["NaN", "-NaN", "nan", "-nan"] {
            assert_eq!(bits(text), Some(f64::NAN.to_bits()), "{text}");
        }
        let column: ArrayRef = Arc::new(Float64Array::from(vec![Some(-f64::NAN), None, Some(1.0)]));
        let column = one_nan(&column);
        assert_eq!(column.as_primitive::<Float64Type>().value(0).to_bits(), f64::NAN.to_bits());
        assert!(column.is_null(1));
    }
}
