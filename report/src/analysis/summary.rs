//! The median of samples and their spread.

use crate::figures::{Latency, Quantity, Unit};

/// A summary, or the reason why there is none.
pub type Known = Result<Summary, String>;

/// What is said of samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// The unit of the other fields.
    pub unit: Unit,
    /// The middle sample, or the mean of the middle two.
    pub median: f64,
    /// The lowest sample.
    pub min: f64,
    /// The highest sample.
    pub max: f64,
    /// How many samples there are.
    pub count: usize,
}

impl Summary {
    /// The summary of `samples`. Samples that are no finite number are left out; there is none if no others are left.
    pub fn of(unit: Unit, samples: &[f64]) -> Option<Self> {
        let sorted = sorted(samples);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let (low, high) = (*sorted.get((sorted.len() - 1) / 2)?, *sorted.get(sorted.len() / 2)?);
        Some(Self { unit, median: low / 2.0 + high / 2.0, min, max, count: sorted.len() })
    }

    /// The distance from the lowest to the highest sample.
    pub fn spread(&self) -> f64 {
        self.max - self.min
    }
}

/// The summary of a quantity.
pub fn quantity(quantity: &Quantity) -> Known {
    let samples = quantity.get()?;
    Summary::of(samples.unit, &samples.samples).ok_or_else(|| "there are no samples".into())
}

/// The summary of a percentile, taken of each run by itself: its spread is the spread between runs.
pub fn latency(latency: &Latency, percent: f64) -> Known {
    let latencies = latency.get()?;
    let by_run: Vec<f64> = latencies.runs.iter().filter_map(|run| percentile(run, percent)).collect();
    Summary::of(latencies.unit, &by_run).ok_or_else(|| "there are no samples".into())
}

/// The smallest sample that is not below `percent` percent of them (the nearest rank).
pub fn percentile(samples: &[f64], percent: f64) -> Option<f64> {
    let sorted = sorted(samples);
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied()
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = samples.iter().copied().filter(|sample| sample.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn median_of_odd_and_even_counts() {
        let median = |samples: &[f64]| Summary::of(Unit::Seconds, samples).map(|summary| summary.median);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median(&[f64::NAN]), None);
    }

    #[test]
    fn percentiles_are_samples() {
        let samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&samples, 50.0), Some(50.0));
        assert_eq!(percentile(&samples, 99.0), Some(99.0));
        assert_eq!(percentile(&[7.0], 99.0), Some(7.0));
        assert_eq!(percentile(&[], 50.0), None);
    }

    #[test]
    fn the_spread_of_a_percentile_is_between_runs() {
        let runs = Latency::runs_ms([vec![1.0, 1.0, 100.0], vec![3.0, 3.0, 100.0]]);
        let p50 = latency(&runs, 50.0).unwrap();
        assert_eq!((p50.median, p50.min, p50.max, p50.count), (2.0, 1.0, 3.0, 2));
    }
}
