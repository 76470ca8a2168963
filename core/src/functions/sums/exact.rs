//! Exact sums, one per group.

use arrow::array::{Array, BinaryArray, BinaryBuilder};
use arrow::datatypes::i256;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::EmitTo;
use num_bigint::BigInt;

use super::term::{Special, Term};
use super::wide::Wide;
use super::window::Window;

/// A sum per group: 18 bytes each where windows have 128 bits, 34 where they have 256.
#[derive(Debug, Default)]
pub(super) struct Sums<W> {
    windows: Vec<W>,
    /// The power of two that a window's least bit stands for, or one of the marks below.
    exponents: Vec<i16>,
    /// The wide sums of the groups marked [`WIDE`], whose window is the index.
    wide: Vec<Wide>,
}

/// Marks a group without values. It and [`WIDE`] are so low, and the other marks so high, that no term seems to fit
/// into a window.
const EMPTY: i16 = i16::MIN;
const WIDE: i16 = i16::MIN + 1;
const POSITIVE: i16 = i16::MAX;
const NEGATIVE: i16 = i16::MAX - 1;
const NAN: i16 = i16::MAX - 2;

/// A finished sum.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SumValue {
    Empty,
    Finite(Exact),
    Special(Special),
}

/// `integer * 2^exponent`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Exact {
    pub(super) integer: BigInt,
    pub(super) exponent: i32,
}

impl<W: Window> Sums<W> {
    /// Two numbers with fewer bits than this have a sum that fits into a window.
    const FITS: u32 = W::BITS - 2;
    /// Room left below the first value for smaller ones.
    const ROOM: u32 = W::BITS / 6;

    /// Makes room for `groups` groups.
    pub(super) fn resize(&mut self, groups: usize) {
        self.windows.resize(groups, W::default());
        self.exponents.resize(groups, EMPTY);
    }

    /// Adds a finite number, which has at most `width` bits.
    #[inline]
    pub(super) fn add(&mut self, group: usize, term: Term, width: u32) {
        let shift = term.exponent.wrapping_sub(i32::from(self.exponents[group])).cast_unsigned();
        if width <= Self::FITS
            && shift <= Self::FITS - width
            && let Some(sum) = self.windows[group].plus(W::of(term).up(shift))
        {
            self.windows[group] = sum;
            return;
        }
        if term.magnitude != 0 || self.exponents[group] == EMPTY {
            self.add_elsewhere(group, term);
        }
    }

    #[cold]
    fn add_elsewhere(&mut self, group: usize, term: Term) {
        if self.exponents[group] == WIDE {
            let wide = self.wide_index(group);
            self.wide[wide].add(term);
        } else if term.width() <= Self::FITS {
            self.combine(group, W::of(term), term.exponent);
        } else if let Some(wide) = self.widened(group) {
            wide.add(term);
        }
    }

    /// Adds an infinity or NaN.
    pub(super) fn add_special(&mut self, group: usize, special: Special) {
        let special = self.special(group).map_or(special, |already| already.and(special));
        self.exponents[group] = match special {
            Special::PositiveInfinity => POSITIVE,
            Special::NegativeInfinity => NEGATIVE,
            Special::NotANumber => NAN,
        };
    }

    fn special(&self, group: usize) -> Option<Special> {
        match self.exponents[group] {
            POSITIVE => Some(Special::PositiveInfinity),
            NEGATIVE => Some(Special::NegativeInfinity),
            NAN => Some(Special::NotANumber),
            _ => None,
        }
    }

    /// Adds `window * 2^exponent`.
    fn combine(&mut self, group: usize, window: W, exponent: i32) {
        match self.exponents[group] {
            POSITIVE | NEGATIVE | NAN => {}
            WIDE => {
                let wide = self.wide_index(group);
                self.wide[wide].add_integer(&window.integer(), exponent);
            }
            EMPTY => self.start(group, window, exponent),
            _ if self.windows[group].is_zero() => self.start(group, window, exponent),
            _ if window.is_zero() => {}
            own => {
                let (a, a_exponent) = stripped(self.windows[group], i32::from(own));
                let (b, b_exponent) = stripped(window, exponent);
                let low = a_exponent.min(b_exponent);
                let (a_up, b_up) = ((a_exponent - low).unsigned_abs(), (b_exponent - low).unsigned_abs());
                let width = (a.width() + a_up).max(b.width() + b_up);
                if width > Self::FITS {
                    if let Some(wide) = self.widened(group) {
                        wide.add_integer(&window.integer(), exponent);
                    }
                    return;
                }
                if let Some(sum) = a.up(a_up).plus(b.up(b_up)) {
                    self.start(group, sum, low);
                }
            }
        }
    }

    /// Begins a window with some room below its value.
    fn start(&mut self, group: usize, window: W, exponent: i32) {
        let room = Self::ROOM.min(Self::FITS.saturating_sub(window.width()) / 2);
        self.windows[group] = window.up(room);
        self.exponents[group] = (exponent - room as i32) as i16;
    }

    fn wide_index(&self, group: usize) -> usize {
        self.windows[group].narrow().map_or(0, |index| index as usize)
    }

    /// The group's sum as a wide one, unless it is infinite or NaN.
    fn widened(&mut self, group: usize) -> Option<&mut Wide> {
        match self.exponents[group] {
            POSITIVE | NEGATIVE | NAN => return None,
            WIDE => {}
            own => {
                let mut wide = Wide::default();
                if own != EMPTY {
                    wide.add_integer(&self.windows[group].integer(), i32::from(own));
                }
                self.windows[group] = W::of(Term::of_integer(self.wide.len() as i128));
                self.exponents[group] = WIDE;
                self.wide.push(wide);
            }
        }
        let index = self.wide_index(group);
        self.wide.get_mut(index)
    }

    pub(super) fn value(&self, group: usize) -> SumValue {
        match self.exponents[group] {
            EMPTY => SumValue::Empty,
            WIDE => {
                let (integer, exponent) = self.wide[self.wide_index(group)].value();
                SumValue::Finite(Exact { integer, exponent })
            }
            exponent => match self.special(group) {
                Some(special) => SumValue::Special(special),
                None => {
                    let integer = self.windows[group].integer();
                    SumValue::Finite(Exact { integer, exponent: i32::from(exponent) })
                }
            },
        }
    }

    /// The sum as a window times a power of two, where it is one.
    #[inline]
    pub(super) fn window(&self, group: usize) -> Option<(W, i32)> {
        let exponent = self.exponents[group];
        (WIDE + 1..NAN).contains(&exponent).then(|| stripped(self.windows[group], exponent.into()))
    }

    /// Takes out the sums of the groups that `emit_to` names.
    pub(super) fn take(&mut self, emit_to: EmitTo) -> Self {
        if matches!(emit_to, EmitTo::All) {
            return std::mem::take(self);
        }
        let mut taken = Self {
            windows: emit_to.take_needed(&mut self.windows),
            exponents: emit_to.take_needed(&mut self.exponents),
            wide: vec![],
        };
        for group in 0..taken.exponents.len() {
            if taken.exponents[group] == WIDE {
                let wide = std::mem::take(&mut self.wide[taken.wide_index(group)]);
                taken.windows[group] = W::of(Term::of_integer(taken.wide.len() as i128));
                taken.wide.push(wide);
            }
        }
        taken
    }

    pub(super) fn size(&self) -> usize {
        let wide = self.wide.capacity() * size_of::<Wide>() + self.wide.iter().map(Wide::size).sum::<usize>();
        self.windows.capacity() * size_of::<W>() + self.exponents.capacity() * size_of::<i16>() + wide
    }

    /// One value per group; the same bytes for the same sum:
    ///
    /// | bytes | sum |
    /// |---|---|
    /// | null | of nothing |
    /// | one | 1 infinity, 2 minus infinity, 3 NaN |
    /// | more | exponent (2, little-endian), then an odd integer (two's complement, little-endian, as short as it goes) |
    pub(super) fn state(&self) -> BinaryArray {
        let groups = self.exponents.len();
        let mut states = BinaryBuilder::with_capacity(groups, groups * 12);
        for group in 0..groups {
            match self.exponents[group] {
                EMPTY => states.append_null(),
                POSITIVE => states.append_value([1u8]),
                NEGATIVE => states.append_value([2u8]),
                NAN => states.append_value([3u8]),
                WIDE => {
                    let (integer, exponent) = self.wide[self.wide_index(group)].value();
                    let zeros = integer.trailing_zeros().unwrap_or(0);
                    let integer: BigInt = integer >> zeros;
                    let exponent = if integer == BigInt::ZERO { 0 } else { exponent + zeros as i32 };
                    let mut bytes = (exponent as i16).to_le_bytes().to_vec();
                    bytes.extend_from_slice(shortest(&integer.to_signed_bytes_le()));
                    states.append_value(bytes);
                }
                exponent => {
                    let (window, exponent) = stripped(self.windows[group], i32::from(exponent));
                    let mut bytes = [0; 34];
                    bytes[..2].copy_from_slice(&(exponent as i16).to_le_bytes());
                    bytes[2..].copy_from_slice(&window.to_bytes());
                    states.append_value(&bytes[..2 + shortest(&bytes[2..]).len()]);
                }
            }
        }
        states.finish()
    }

    /// Adds states that [`Sums::state`] made.
    pub(super) fn merge(&mut self, states: &BinaryArray, groups: &[usize]) -> Result<()> {
        for (row, &group) in groups.iter().enumerate() {
            if states.is_valid(row) {
                self.merge_one(group, states.value(row))?;
            }
        }
        Ok(())
    }

    fn merge_one(&mut self, group: usize, state: &[u8]) -> Result<()> {
        match state {
            [1] => self.add_special(group, Special::PositiveInfinity),
            [2] => self.add_special(group, Special::NegativeInfinity),
            [3] => self.add_special(group, Special::NotANumber),
            [low, high, integer @ ..] => self.merge_integer(group, integer, i16::from_le_bytes([*low, *high]).into()),
            _ => return internal_err!("a state of {} bytes is no sum", state.len()),
        }
        Ok(())
    }

    fn merge_integer(&mut self, group: usize, integer: &[u8], exponent: i32) {
        if integer.len() > W::BITS as usize / 8 {
            if let Some(wide) = self.widened(group) {
                wide.add_integer(&BigInt::from_signed_bytes_le(integer), exponent);
            }
            return;
        }
        let negative = integer.last().is_some_and(|top| top.cast_signed() < 0);
        let mut bytes = [if negative { 0xff } else { 0 }; 32];
        bytes[..integer.len()].copy_from_slice(integer);
        let window = W::from_bytes(bytes);
        let shift = exponent.wrapping_sub(i32::from(self.exponents[group])).cast_unsigned();
        if shift <= Self::FITS
            && window.width() + shift <= Self::FITS
            && let Some(sum) = self.windows[group].plus(window.up(shift))
        {
            self.windows[group] = sum;
            return;
        }
        self.combine(group, window, exponent);
    }
}

impl Sums<i128> {
    /// Adds an integer of 256 bits, as two of 128.
    pub(super) fn add_long(&mut self, group: usize, value: i256, negated: bool) {
        let (low, high) = value.to_parts();
        let low = Term { negative: negated, magnitude: low, exponent: 0 };
        self.add(group, low, low.width());
        if high != 0 {
            let high = Term { exponent: u128::BITS as i32, ..Term::of_integer(high) }.negated_if(negated);
            self.add(group, high, high.width());
        }
    }
}

/// The same number with an odd integer, or zero.
fn stripped<W: Window>(window: W, exponent: i32) -> (W, i32) {
    if window.is_zero() {
        return (window, 0);
    }
    let zeros = window.trailing_zeros();
    (window.down(zeros), exponent + zeros as i32)
}

/// The bytes without those at the end that only repeat the sign.
fn shortest(bytes: &[u8]) -> &[u8] {
    let mut length = bytes.len();
    while let [.., below, top] = bytes[..length]
        && top == (if below.cast_signed() < 0 { 0xff } else { 0 })
    {
        length -= 1;
    }
    match bytes[..length] {
        [0] => &[],
        _ => &bytes[..length],
    }
}
