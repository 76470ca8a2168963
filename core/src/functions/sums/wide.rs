//! An exact sum of any width, for values too far apart for a window.

use num_bigint::{BigInt, Sign};

use super::term::Term;

const DIGIT: i32 = 32;
/// A digit changes by less than 2^32 at a time, and so stays inside 64 bits for so many changes.
const CHANGES: u32 = 1 << 30;
/// Number of digits that a term of 128 bits touches when it is shifted by up to 31 bits.
const TOUCHED: usize = 5;

/// Digits of 32 bits, least first, in signed words with room for carries.
#[derive(Debug, Clone, Default)]
pub(super) struct Wide {
    digits: Vec<i64>,
    /// Place of the first digit, which stands for `2^(32 * lowest)`.
    lowest: i32,
    changes: u32,
}

impl Wide {
    pub(super) fn add(&mut self, term: Term) {
        let at = term.exponent.div_euclid(DIGIT);
        let shift = term.exponent.rem_euclid(DIGIT).unsigned_abs();
        let first = self.cover(at);
        let low = term.magnitude << shift;
        let high = term.magnitude.checked_shr(u128::BITS - shift).unwrap_or(0);
        let parts = [low, low >> 32, low >> 64, low >> 96, high].map(|part| i64::from(part as u32));
        for (digit, part) in self.digits[first..first + TOUCHED].iter_mut().zip(parts) {
            *digit += if term.negative { -part } else { part };
        }
        self.changes += 1;
        if self.changes == CHANGES {
            self.carry();
        }
    }

    /// Adds `integer * 2^exponent`.
    pub(super) fn add_integer(&mut self, integer: &BigInt, exponent: i32) {
        let negative = integer.sign() == Sign::Minus;
        for (i, digit) in integer.iter_u64_digits().enumerate() {
            self.add(Term { negative, magnitude: u128::from(digit), exponent: exponent + 64 * i as i32 });
        }
    }

    /// The sum as an integer times a power of two.
    pub(super) fn value(&self) -> (BigInt, i32) {
        let mut carried = self.clone();
        carried.carry();
        let integer = carried.digits.iter().rev().fold(BigInt::ZERO, |above, digit| (above << DIGIT) + *digit);
        (integer, carried.lowest * DIGIT)
    }

    pub(super) fn size(&self) -> usize {
        self.digits.capacity() * size_of::<i64>()
    }

    /// Makes room for a term at digit `at`, and returns its index in `digits`.
    fn cover(&mut self, at: i32) -> usize {
        if self.digits.is_empty() {
            self.lowest = at;
        }
        if at < self.lowest {
            let missing = (self.lowest - at).unsigned_abs() as usize;
            self.digits.splice(0..0, std::iter::repeat_n(0, missing));
            self.lowest = at;
        }
        let first = (at - self.lowest).unsigned_abs() as usize;
        if self.digits.len() < first + TOUCHED {
            self.digits.resize(first + TOUCHED, 0);
        }
        first
    }

    fn carry(&mut self) {
        let mut carry = 0;
        for digit in &mut self.digits {
            let whole = *digit + carry;
            carry = whole >> DIGIT;
            *digit = whole & 0xffff_ffff;
        }
        if carry != 0 {
            self.digits.push(carry);
        }
        self.changes = 1;
    }
}
