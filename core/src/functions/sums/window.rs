//! A window: the bits of an exact sum that are stored, as one two's complement integer.

use std::fmt::Debug;

use arrow::datatypes::i256;
use num_bigint::BigInt;

use super::term::Term;

pub(super) trait Window: Copy + Default + PartialEq + Debug + Send + Sync + 'static {
    const BITS: u32;

    fn of(term: Term) -> Self;
    /// The sum; `None` when it does not fit.
    fn plus(self, other: Self) -> Option<Self>;
    /// Shifts left; bits shifted out at the top are lost.
    fn up(self, bits: u32) -> Self;
    fn down(self, bits: u32) -> Self;
    /// Zero bits below the least one that is set; of zero: all.
    fn trailing_zeros(self) -> u32;
    /// Bits without those that only repeat the sign.
    fn width(self) -> u32;
    fn to_bytes(self) -> [u8; 32];
    fn from_bytes(bytes: [u8; 32]) -> Self;
    /// The window in 128 bits, when it fits.
    fn narrow(self) -> Option<i128>;

    fn is_zero(self) -> bool {
        self == Self::default()
    }

    fn integer(self) -> BigInt {
        match self.narrow() {
            Some(narrow) => narrow.into(),
            None => BigInt::from_signed_bytes_le(&self.to_bytes()),
        }
    }
}

impl Window for i128 {
    const BITS: u32 = 128;

    #[inline]
    fn of(term: Term) -> Self {
        let value = term.magnitude as i128;
        if term.negative { -value } else { value }
    }

    #[inline]
    fn plus(self, other: Self) -> Option<Self> {
        self.checked_add(other)
    }

    #[inline]
    fn up(self, bits: u32) -> Self {
        self << bits
    }

    #[inline]
    fn down(self, bits: u32) -> Self {
        self >> bits
    }

    fn trailing_zeros(self) -> u32 {
        i128::trailing_zeros(self)
    }

    #[inline]
    fn width(self) -> u32 {
        Self::BITS - (self ^ (self >> 127)).leading_zeros()
    }

    fn to_bytes(self) -> [u8; 32] {
        i256::from_i128(self).to_le_bytes()
    }

    fn from_bytes(bytes: [u8; 32]) -> Self {
        i256::from_le_bytes(bytes).as_i128()
    }

    fn narrow(self) -> Option<i128> {
        Some(self)
    }
}

impl Window for i256 {
    const BITS: u32 = 256;

    #[inline]
    fn of(term: Term) -> Self {
        let value = Self::from_parts(term.magnitude, 0);
        if term.negative { value.wrapping_neg() } else { value }
    }

    #[inline]
    fn plus(self, other: Self) -> Option<Self> {
        self.checked_add(other)
    }

    #[inline]
    fn up(self, bits: u32) -> Self {
        self << bits as u8
    }

    #[inline]
    fn down(self, bits: u32) -> Self {
        self >> bits as u8
    }

    fn trailing_zeros(self) -> u32 {
        i256::trailing_zeros(&self)
    }

    #[inline]
    fn width(self) -> u32 {
        let (low, high) = self.to_parts();
        let sign = high >> 127;
        match (high ^ sign).leading_zeros() {
            128 => 128 - (low ^ sign as u128).leading_zeros(),
            zeros => 256 - zeros,
        }
    }

    fn to_bytes(self) -> [u8; 32] {
        self.to_le_bytes()
    }

    fn from_bytes(bytes: [u8; 32]) -> Self {
        Self::from_le_bytes(bytes)
    }

    fn narrow(self) -> Option<i128> {
        self.to_i128()
    }
}
