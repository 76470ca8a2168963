//! One addend: a signed integer times a power of two.

/// `±magnitude * 2^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) negative: bool,
    pub(super) magnitude: u128,
    pub(super) exponent: i32,
}

/// An infinity or NaN, which absorbs all numbers; the sum of two is their least upper bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    PositiveInfinity,
    NegativeInfinity,
    NotANumber,
}

impl Special {
    pub(super) fn of(value: f64) -> Option<Self> {
        match value {
            _ if value.is_nan() => Some(Self::NotANumber),
            f64::INFINITY => Some(Self::PositiveInfinity),
            f64::NEG_INFINITY => Some(Self::NegativeInfinity),
            _ => None,
        }
    }

    pub(super) fn float(self) -> f64 {
        match self {
            Self::PositiveInfinity => f64::INFINITY,
            Self::NegativeInfinity => f64::NEG_INFINITY,
            Self::NotANumber => f64::NAN,
        }
    }

    /// The sum of both.
    pub(super) fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::NotANumber }
    }
}

const FRACTION: u32 = f64::MANTISSA_DIGITS - 1;
const LEAST_EXPONENT: i32 = f64::MIN_EXP - f64::MANTISSA_DIGITS as i32;

impl Term {
    /// The exact value of a float; `None` for infinities and NaN.
    #[inline]
    pub(super) fn of_float(value: f64) -> Option<Self> {
        let bits = value.to_bits();
        let biased = (bits >> FRACTION) & 0x7ff;
        if biased == 0x7ff {
            return None;
        }
        let fraction = bits & ((1 << FRACTION) - 1);
        // Subnormal numbers have no hidden bit and the exponent of the least normal ones.
        let magnitude = fraction | (u64::from(biased != 0) << FRACTION);
        let exponent = biased.max(1) as i32 - 1 + LEAST_EXPONENT;
        Some(Self { negative: value.is_sign_negative(), magnitude: u128::from(magnitude), exponent })
    }

    #[inline]
    pub(super) fn of_integer(value: i128) -> Self {
        Self { negative: value < 0, magnitude: value.unsigned_abs(), exponent: 0 }
    }

    /// The exact product: 106 bits at most, of two floats.
    #[inline]
    pub(super) fn times(self, other: Self) -> Self {
        Self {
            negative: self.negative != other.negative,
            magnitude: self.magnitude * other.magnitude,
            exponent: self.exponent + other.exponent,
        }
    }

    #[inline]
    pub(super) fn negated_if(self, negated: bool) -> Self {
        Self { negative: self.negative != negated, ..self }
    }

    /// Width of the magnitude in bits.
    #[inline]
    pub(super) fn width(self) -> u32 {
        u128::BITS - self.magnitude.leading_zeros()
    }
}
