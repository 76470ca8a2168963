//! A line through points, by least squares.

use crate::figures::{Curve, Points};

use super::Summary;

/// `intercept + slope * records`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// The value for no records.
    pub intercept: f64,
    /// What each record adds.
    pub slope: f64,
    /// How far a median is from the line at most, as a part of the median.
    pub error: f64,
}

impl Line {
    /// The value for so many records.
    pub fn at(&self, records: f64) -> f64 {
        self.intercept + self.slope * records
    }
}

/// The line with the least sum of squared distances from all samples. There is none through fewer than two lengths.
pub fn fit(points: &Points) -> Option<Line> {
    let samples: Vec<(f64, f64)> = points
        .points
        .iter()
        .flat_map(|point| point.samples.iter().map(|sample| (point.records as f64, *sample)))
        .filter(|(_, sample)| sample.is_finite())
        .collect();
    let count = samples.len() as f64;
    let mean_x = samples.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = samples.iter().map(|(_, y)| y).sum::<f64>() / count;
    let variance: f64 = samples.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let covariance: f64 = samples.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let slope = covariance / variance;
    let mut line = Line { intercept: mean_y - slope * mean_x, slope, error: 0.0 };
    if !line.intercept.is_finite() || !slope.is_finite() {
        return None;
    }
    line.error = error(points, &line);
    Some(line)
}

/// The line through a curve, if it was measured.
pub fn fit_curve(curve: &Curve) -> Option<Line> {
    fit(curve.get().ok()?)
}

fn error(points: &Points, line: &Line) -> f64 {
    let errors = points.points.iter().filter_map(|point| {
        let median = Summary::of(points.unit, &point.samples)?.median;
        (median != 0.0).then(|| ((line.at(point.records as f64) - median) / median).abs())
    });
    errors.fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Unit;

    #[test]
    fn a_known_line_is_found() {
        let curve = Curve::points(Unit::Seconds, (1..5).map(|n| (n * 100, vec![2.0 + n as f64 * 50.0; 3])));
        let line = fit_curve(&curve).unwrap();
        assert!((line.intercept - 2.0).abs() < 1e-9 && (line.slope - 0.5).abs() < 1e-12, "{line:?}");
        assert!(line.error < 1e-12);
    }

    #[test]
    fn noise_is_averaged_and_told() {
        let curve = Curve::points(Unit::Seconds, [(1, vec![1.0, 3.0]), (3, vec![5.0, 7.0]), (5, vec![10.0, 12.0])]);
        let line = fit_curve(&curve).unwrap();
        assert!((line.slope - 2.25).abs() < 1e-9, "{line:?}");
        // The line is at 1.83 where the median is 2.
        assert!((line.error - 1.0 / 12.0).abs() < 1e-9, "{line:?}");
    }

    #[test]
    fn one_length_makes_no_line() {
        assert_eq!(fit_curve(&Curve::points(Unit::Seconds, [(1, vec![1.0, 3.0])])), None);
        assert_eq!(fit_curve(&Curve::points(Unit::Seconds, [])), None);
    }
}
