//! Statistics from exact sums, each as one quotient of exact integers.

use num_bigint::{BigInt, Sign};

use super::exact::Exact;
use super::round::round;

/// A statistic of `a` and `b`; a regression is of `a` (y) on `b` (x).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Statistic {
    Sum,
    Average,
    Variance(Divisor),
    Deviation(Divisor),
    Covariance(Divisor),
    Correlation,
    Slope,
    Intercept,
    Count,
    R2,
    AverageX,
    AverageY,
    Sxx,
    Syy,
    Sxy,
}

/// The divisor of a sum of squares: the number of rows, or one less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Divisor {
    Population,
    Sample,
}

/// The sums that a statistic needs, in the order in which a state has them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Needs {
    pub(super) count: bool,
    pub(super) a: bool,
    pub(super) b: bool,
    pub(super) aa: bool,
    pub(super) bb: bool,
    pub(super) ab: bool,
}

impl Statistic {
    pub(super) fn needs(self) -> Needs {
        let counted = Needs { count: true, ..Needs::default() };
        let pairs = Needs { a: true, b: true, ab: true, ..counted };
        match self {
            Self::Sum => Needs { a: true, ..Needs::default() },
            Self::Average | Self::AverageY => Needs { a: true, ..counted },
            Self::Variance(_) | Self::Deviation(_) | Self::Syy => Needs { a: true, aa: true, ..counted },
            Self::Covariance(_) | Self::Sxy => pairs,
            Self::Correlation | Self::R2 => Needs { aa: true, bb: true, ..pairs },
            Self::Slope | Self::Intercept => Needs { bb: true, ..pairs },
            Self::Count => counted,
            Self::AverageX => Needs { b: true, ..counted },
            Self::Sxx => Needs { b: true, bb: true, ..counted },
        }
    }

    /// The number of columns that it reads.
    pub(super) fn columns(self) -> usize {
        match self {
            Self::Sum | Self::Average | Self::Variance(_) | Self::Deviation(_) => 1,
            _ => 2,
        }
    }

    /// The least number of rows; with fewer it is null.
    pub(super) fn least_rows(self) -> u64 {
        match self {
            Self::Variance(Divisor::Sample) | Self::Deviation(Divisor::Sample) | Self::Covariance(Divisor::Sample) => 2,
            _ => 1,
        }
    }
}

/// The exact sums over `n` rows; zero where a statistic does not need them.
#[derive(Debug)]
pub(super) struct KnownSums {
    pub(super) n: u64,
    pub(super) a: Exact,
    pub(super) b: Exact,
    pub(super) aa: Exact,
    pub(super) bb: Exact,
    pub(super) ab: Exact,
}

impl KnownSums {
    /// The statistic as PostgreSQL defines it, `None` for null; there must be enough rows.
    pub(super) fn statistic(&self, statistic: Statistic) -> Option<f64> {
        let n = Exact::from(self.n);
        let over_n = |sum: &Exact| quotient(sum, &n);
        Some(match statistic {
            Statistic::Sum => quotient(&self.a, &Exact::from(1)),
            Statistic::Average | Statistic::AverageY => over_n(&self.a),
            Statistic::AverageX => over_n(&self.b),
            Statistic::Count => self.n as f64,
            Statistic::Variance(divisor) => quotient(&self.squares_a(), &self.pairs(divisor)),
            Statistic::Deviation(divisor) => quotient(&self.squares_a(), &self.pairs(divisor)).sqrt(),
            Statistic::Covariance(divisor) => quotient(&self.products(), &self.pairs(divisor)),
            Statistic::Syy => over_n(&self.squares_a()),
            Statistic::Sxx => over_n(&self.squares_b()),
            Statistic::Sxy => over_n(&self.products()),
            Statistic::Slope => {
                let squares = self.squares_b();
                squares.nonzero()?;
                quotient(&self.products(), &squares)
            }
            Statistic::Intercept => {
                let squares = self.squares_b();
                squares.nonzero()?;
                let dividend = self.a.times(&squares).minus(&self.b.times(&self.products()));
                quotient(&dividend, &squares.times(&n))
            }
            Statistic::R2 => {
                let (squares_a, squares_b) = (self.squares_a(), self.squares_b());
                squares_b.nonzero()?;
                if squares_a.nonzero().is_none() {
                    return Some(1.0);
                }
                let products = self.products();
                quotient(&products.times(&products), &squares_a.times(&squares_b))
            }
            Statistic::Correlation => {
                let (squares_a, squares_b, products) = (self.squares_a(), self.squares_b(), self.products());
                squares_a.nonzero().and(squares_b.nonzero())?;
                let square = quotient(&products.times(&products), &squares_a.times(&squares_b));
                let root = square.sqrt();
                if products.integer.sign() == Sign::Minus { -root } else { root }
            }
        })
    }

    /// `n` times the sum of the squares of a's distances from its mean.
    fn squares_a(&self) -> Exact {
        self.aa.times(&Exact::from(self.n)).minus(&self.a.times(&self.a))
    }

    fn squares_b(&self) -> Exact {
        self.bb.times(&Exact::from(self.n)).minus(&self.b.times(&self.b))
    }

    fn products(&self) -> Exact {
        self.ab.times(&Exact::from(self.n)).minus(&self.a.times(&self.b))
    }

    /// The common divisor of the above: `n * n` or `n * (n - 1)`.
    fn pairs(&self, divisor: Divisor) -> Exact {
        let rows = match divisor {
            Divisor::Population => self.n,
            Divisor::Sample => self.n - 1,
        };
        Exact::from(self.n).times(&Exact::from(rows))
    }
}

impl From<u64> for Exact {
    fn from(integer: u64) -> Self {
        Self { integer: integer.into(), exponent: 0 }
    }
}

impl Exact {
    pub(super) const ZERO: Self = Self { integer: BigInt::ZERO, exponent: 0 };

    fn nonzero(&self) -> Option<()> {
        (self.integer != BigInt::ZERO).then_some(())
    }

    fn times(&self, other: &Self) -> Self {
        Self { integer: &self.integer * &other.integer, exponent: self.exponent + other.exponent }
    }

    fn minus(&self, other: &Self) -> Self {
        let exponent = self.exponent.min(other.exponent);
        Self { integer: self.at(exponent) - other.at(exponent), exponent }
    }

    /// The integer that stands for this at an exponent that is not greater.
    pub(super) fn at(&self, exponent: i32) -> BigInt {
        &self.integer << self.exponent.abs_diff(exponent)
    }

    /// The integer that this is; fractions, which sums of integers do not have, are cut off.
    pub(super) fn whole(&self) -> BigInt {
        if self.exponent >= 0 { self.at(0) } else { &self.integer >> self.exponent.unsigned_abs() }
    }
}

/// The float nearest to `dividend / divisor`; the divisor is not zero.
pub(super) fn quotient(dividend: &Exact, divisor: &Exact) -> f64 {
    let negative = (dividend.integer.sign() == Sign::Minus) != (divisor.integer.sign() == Sign::Minus);
    let (a, b) = (dividend.integer.magnitude(), divisor.integer.magnitude());
    // The quotient gets 64 or 65 bits.
    let up = 64 + b.bits() as i64 - a.bits() as i64;
    let (scaled_a, scaled_b) = if up >= 0 { (a << up, b.clone()) } else { (a.clone(), b << -up) };
    let whole = &scaled_a / &scaled_b;
    let inexact = &whole * &scaled_b != scaled_a;
    let bits = whole.iter_u64_digits().rev().fold(0, |above: u128, digit| (above << 64) | u128::from(digit));
    round(negative, bits, inexact, dividend.exponent - divisor.exponent - up as i32)
}
