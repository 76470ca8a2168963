//! Which of two quantities is better, if the samples can tell.

use super::{Known, Summary};
use crate::figures::{Both, Side};

/// What is better of a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Less of it.
    Lower,
    /// More of it.
    Higher,
}

/// Which side is better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// One is, by more than the samples of either are spread.
    Won {
        /// The better one.
        by: Side,
        /// The larger median by the smaller one; none if that is 0.
        times: Option<f64>,
    },
    /// The samples overlap, or their medians differ by less than their spread.
    NoDifference,
    /// One is ahead, but a side has a single sample, whose spread is not known.
    SeenOnce {
        /// The one that is ahead.
        ahead: Side,
        /// The larger median by the smaller one; none if that is 0.
        times: Option<f64>,
    },
    /// At least one was not measured.
    NotCompared,
}

/// Compare two quantities. A difference counts if the samples of the two do not overlap and their medians differ by more
/// than the larger spread.
pub fn compare(known: &Both<Known>, better: Better) -> Verdict {
    let (Ok(lambda), Ok(kappa)) = (&known.lambda, &known.kappa) else { return Verdict::NotCompared };
    if lambda.unit != kappa.unit {
        return Verdict::NotCompared;
    }
    if lambda.median == kappa.median {
        return Verdict::NoDifference;
    }
    let side = ahead(lambda, kappa, better);
    let times = times(lambda.median, kappa.median);
    if lambda.count < 2 || kappa.count < 2 {
        Verdict::SeenOnce { ahead: side, times }
    } else if within_spread(lambda, kappa) {
        Verdict::NoDifference
    } else {
        Verdict::Won { by: side, times }
    }
}

fn within_spread(one: &Summary, other: &Summary) -> bool {
    let overlap = one.min <= other.max && other.min <= one.max;
    overlap || (one.median - other.median).abs() <= one.spread().max(other.spread())
}

fn ahead(lambda: &Summary, kappa: &Summary, better: Better) -> Side {
    if (lambda.median < kappa.median) == (better == Better::Lower) { Side::Lambda } else { Side::Kappa }
}

fn times(one: f64, other: f64) -> Option<f64> {
    let times = one.max(other) / one.min(other);
    (times.is_finite() && times > 0.0).then_some(times)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Unit;

    fn check(lambda: &[f64], kappa: &[f64], better: Better) -> Verdict {
        let known = |samples| Summary::of(Unit::Seconds, samples).ok_or_else(|| "none".to_owned());
        compare(&Both { lambda: known(lambda), kappa: known(kappa) }, better)
    }

    #[test]
    fn a_clear_difference_is_a_win() {
        let won = Verdict::Won { by: Side::Lambda, times: Some(2.0) };
        assert_eq!(check(&[9.0, 10.0, 11.0], &[19.0, 20.0, 21.0], Better::Lower), won);
        let won = Verdict::Won { by: Side::Kappa, times: Some(2.0) };
        assert_eq!(check(&[9.0, 10.0, 11.0], &[19.0, 20.0, 21.0], Better::Higher), won);
    }

    #[test]
    fn a_difference_within_the_spread_is_no_win() {
        assert_eq!(check(&[9.0, 10.0, 14.0], &[11.0, 12.0, 13.0], Better::Lower), Verdict::NoDifference);
        // No overlap, but the medians are nearer to each other than the samples of Lambda are.
        assert_eq!(check(&[9.0, 13.0, 14.0], &[15.0, 15.5, 16.0], Better::Lower), Verdict::NoDifference);
        assert_eq!(check(&[5.0, 5.0], &[5.0, 5.0], Better::Lower), Verdict::NoDifference);
    }

    #[test]
    fn a_single_sample_wins_nothing() {
        let seen = Verdict::SeenOnce { ahead: Side::Kappa, times: Some(10.0) };
        assert_eq!(check(&[10.0], &[1.0, 1.0], Better::Lower), seen);
    }

    #[test]
    fn nothing_is_infinitely_better() {
        assert_eq!(check(&[0.0, 0.0], &[1.0, 1.0], Better::Lower), Verdict::Won { by: Side::Lambda, times: None });
        assert_eq!(check(&[], &[1.0], Better::Lower), Verdict::NotCompared);
    }
}
