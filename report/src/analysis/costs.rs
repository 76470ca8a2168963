//! What follows from the figures for a month of records, and for a number of changes.

use super::{Better, Verdict, compare, fit_curve, quantity};
use crate::figures::{Both, Figures, Quantity, Side};

const SECONDS_PER_MONTH: f64 = 30.0 * 86_400.0;

/// The bytes that a month of records adds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MonthlyBytes {
    /// To Kappa's log.
    pub kappa_log: f64,
    /// To Lambda's landing.
    pub lambda_landing: f64,
}

impl MonthlyBytes {
    /// How many times the landing the log is.
    pub fn times(&self) -> f64 {
        self.kappa_log / self.lambda_landing
    }
}

/// The bytes that 30 days at the stated rate add, by the slopes of the fitted lines.
pub fn monthly_bytes(figures: &Figures) -> Option<MonthlyBytes> {
    let records = figures.meta.rate * SECONDS_PER_MONTH;
    let monthly = MonthlyBytes {
        kappa_log: fit_curve(&figures.keeping.stores.kappa.log)?.slope * records,
        lambda_landing: fit_curve(&figures.keeping.stores.lambda.landing)?.slope * records,
    };
    let sound = [monthly.kappa_log, monthly.lambda_landing, monthly.times()];
    sound.iter().all(|value| value.is_finite() && *value > 0.0).then_some(monthly)
}

/// How many changes of the code, each over the whole history, make the processor time of both equal; and the side that
/// needs less with fewer changes. With `c` processor seconds for the records of the history and `e` for a change, it is
/// `(c_lambda - c_kappa) / (e_kappa - e_lambda)`. There is none if one side needs less in both, or if the samples show no
/// difference in one of them.
pub fn even_changes(figures: &Figures) -> Option<(f64, Side)> {
    let differ = |both: &Both<Quantity>| compare(&both.map(quantity), Better::Lower) != Verdict::NoDifference;
    if !differ(&figures.fast.cpu) || !differ(&figures.change.extra_cpu) {
        return None;
    }
    let millions = figures.change.history as f64 / 1e6;
    let of = |side| {
        let running = quantity(figures.fast.cpu.of(side)).ok()?.median * millions;
        Some((running, quantity(figures.change.extra_cpu.of(side)).ok()?.median))
    };
    let ((lambda, lambda_change), (kappa, kappa_change)) = (of(Side::Lambda)?, of(Side::Kappa)?);
    let changes = (lambda - kappa) / (kappa_change - lambda_change);
    let fewer = if lambda < kappa { Side::Lambda } else { Side::Kappa };
    (changes.is_finite() && changes > 0.0).then_some((changes, fewer))
}
