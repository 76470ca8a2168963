//! Where two lines cross: up to which length of history one side is lower.

use super::{Better, Line, Summary, Verdict, compare, fit};
use crate::figures::{Both, Curve, Point, Points, Side};

/// How two quantities that grow with history stand to each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Crossing {
    /// One is lower up to a length, and the other from there on.
    At {
        /// The length in records.
        records: f64,
        /// The shortest and the longest such length, of the lines through each run by itself.
        runs: (f64, f64),
        /// The one that is lower below it.
        below: Side,
        /// Whether the length lies among those that were measured.
        measured: bool,
    },
    /// One is lower at every length.
    Always {
        /// The lower one.
        lower: Side,
    },
    /// One is lower at every length that was measured. The runs do not agree on where the lines cross beyond them.
    WhereMeasured {
        /// The lower one.
        lower: Side,
    },
    /// At no length do they differ by more than the spread.
    NoDifference,
    /// A side was not measured at two lengths or more.
    Unknown,
}

/// By how many times the crossing points of single runs may differ, if they lie beyond the measured lengths.
const AGREE: f64 = 2.0;

/// Where the lines through two curves cross.
pub fn crossing(curves: &Both<Curve>) -> Crossing {
    let (Ok(lambda), Ok(kappa)) = (curves.lambda.get(), curves.kappa.get()) else { return Crossing::Unknown };
    let (Some(lambda_line), Some(kappa_line)) = (fit(lambda), fit(kappa)) else { return Crossing::Unknown };
    if lambda.unit != kappa.unit {
        return Crossing::Unknown;
    }
    if !differ(lambda, kappa) {
        return Crossing::NoDifference;
    }
    let lengths = || lambda.points.iter().chain(&kappa.points).map(|point| point.records as f64);
    let range = (lengths().fold(f64::INFINITY, f64::min), lengths().fold(0.0, f64::max));
    let lines = Both { lambda: lambda_line, kappa: kappa_line };
    match (cross(&lines, range), by_run(lambda, kappa, range)) {
        (Crossing::At { records, below, measured, .. }, Some(runs)) if measured || runs.1 / runs.0 <= AGREE => {
            Crossing::At { records, runs, below, measured }
        }
        (Crossing::At { measured: false, .. }, _) => Crossing::WhereMeasured { lower: lower(&lines, range.1) },
        (crossing, _) => crossing,
    }
}

/// Where two lines cross, if they were measured in the `range` of records.
pub fn cross(lines: &Both<Line>, range: (f64, f64)) -> Crossing {
    let Both { lambda, kappa } = lines;
    let records = (kappa.intercept - lambda.intercept) / (lambda.slope - kappa.slope);
    if records.is_finite() && records > 0.0 {
        let below = if lambda.intercept < kappa.intercept { Side::Lambda } else { Side::Kappa };
        let measured = (range.0..=range.1).contains(&records);
        return Crossing::At { records, runs: (records, records), below, measured };
    }
    if lambda.at(range.1) == kappa.at(range.1) {
        return Crossing::NoDifference;
    }
    Crossing::Always { lower: lower(lines, range.1) }
}

fn lower(lines: &Both<Line>, records: f64) -> Side {
    if lines.lambda.at(records) < lines.kappa.at(records) { Side::Lambda } else { Side::Kappa }
}

/// The shortest and the longest crossing of single runs; none if some do not cross, or cross the other way.
fn by_run(lambda: &Points, kappa: &Points, range: (f64, f64)) -> Option<(f64, f64)> {
    let runs = lambda.points.iter().chain(&kappa.points).map(|point| point.samples.len()).min()?;
    let crossings = (0..runs).map(|run| {
        let lines = Both { lambda: fit(&only(lambda, run))?, kappa: fit(&only(kappa, run))? };
        match cross(&lines, range) {
            Crossing::At { records, below, .. } => Some((records, below)),
            _ => None,
        }
    });
    let crossings: Vec<(f64, Side)> = crossings.collect::<Option<_>>()?;
    let below = crossings.first()?.1;
    let records = || crossings.iter().map(|(records, _)| *records);
    crossings
        .iter()
        .all(|(_, other)| *other == below)
        .then(|| (records().fold(f64::INFINITY, f64::min), records().fold(0.0, f64::max)))
}

/// The samples of one run.
fn only(points: &Points, run: usize) -> Points {
    let of_run = |point: &Point| Point {
        records: point.records,
        samples: point.samples.get(run).copied().into_iter().collect(),
    };
    Points { unit: points.unit, points: points.points.iter().map(of_run).collect() }
}

/// Whether the two differ at a length at which both were measured. Lengths of which a side has one sample count as well:
/// their spread is not known.
fn differ(lambda: &Points, kappa: &Points) -> bool {
    let pairs = lambda.points.iter().filter_map(|point| {
        let other = kappa.points.iter().find(|other| other.records == point.records)?;
        let known = |unit, samples| Summary::of(unit, samples).ok_or_else(String::new);
        Some(Both { lambda: known(lambda.unit, &point.samples), kappa: known(kappa.unit, &other.samples) })
    });
    pairs
        .into_iter()
        .any(|pair| matches!(compare(&pair, Better::Lower), Verdict::Won { .. } | Verdict::SeenOnce { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Unit;

    fn line(intercept: f64, slope: f64) -> Line {
        Line { intercept, slope, error: 0.0 }
    }

    fn curve(intercept: f64, slope: f64, noise: f64) -> Curve {
        let at = |records: u64| intercept + slope * records as f64;
        let point = |records: u64| (records, vec![at(records) - noise, at(records), at(records) + noise]);
        Curve::points(Unit::Seconds, [100, 200, 400, 800].map(point))
    }

    #[test]
    fn two_known_lines_cross_where_they_should() {
        // 10 + 0.01 n = 4 + 0.04 n at n = 200.
        let curves = Both { lambda: curve(10.0, 0.01, 0.0), kappa: curve(4.0, 0.04, 0.0) };
        let Crossing::At { records, below, measured, .. } = crossing(&curves) else { panic!("no crossing") };
        assert!((records - 200.0).abs() < 1e-6, "{records}");
        assert_eq!((below, measured), (Side::Kappa, true));
    }

    #[test]
    fn a_crossing_beyond_the_measured_lengths_says_so() {
        let lines = Both { lambda: line(0.0, 2.0), kappa: line(1000.0, 1.0) };
        let expected = Crossing::At { records: 1000.0, runs: (1000.0, 1000.0), below: Side::Lambda, measured: false };
        assert_eq!(cross(&lines, (100.0, 800.0)), expected);
    }

    #[test]
    fn lines_that_do_not_cross_have_one_that_is_lower() {
        let lines = Both { lambda: line(1.0, 1.0), kappa: line(2.0, 3.0) };
        assert_eq!(cross(&lines, (1.0, 8.0)), Crossing::Always { lower: Side::Lambda });
        let lines = Both { lambda: line(2.0, 1.0), kappa: line(1.0, 1.0) };
        assert_eq!(cross(&lines, (1.0, 8.0)), Crossing::Always { lower: Side::Kappa });
    }

    #[test]
    fn noise_beyond_the_measured_lengths_is_no_crossing() {
        // Both are flat but for noise, so that the lines cross somewhere far away, and elsewhere in each run.
        let flat =
            |samples: [[f64; 2]; 2]| Curve::points(Unit::Bytes, [(100, samples[0].into()), (800, samples[1].into())]);
        let lambda = flat([[300.0, 301.0], [301.0, 300.0]]);
        let kappa = flat([[200.0, 201.0], [202.0, 203.0]]);
        assert_eq!(crossing(&Both { lambda, kappa }), Crossing::WhereMeasured { lower: Side::Kappa });
    }

    #[test]
    fn the_spread_of_a_crossing_is_between_runs() {
        // The runs of Lambda are 9 + 0.01 n and 11 + 0.01 n, Kappa's are 5 + 0.03 n.
        let of = |intercept, slope: f64| move |records: u64| intercept + slope * records as f64;
        let points = |one: &dyn Fn(u64) -> f64, two: &dyn Fn(u64) -> f64| {
            Curve::points(Unit::Seconds, [100, 800].map(|records| (records, vec![one(records), two(records)])))
        };
        let curves =
            Both { lambda: points(&of(9.0, 0.01), &of(11.0, 0.01)), kappa: points(&of(5.0, 0.03), &of(5.0, 0.03)) };
        let Crossing::At { records, runs, .. } = crossing(&curves) else { panic!("no crossing") };
        let rounded = [records, runs.0, runs.1].map(f64::round);
        assert_eq!(rounded, [250.0, 200.0, 300.0]);
    }

    #[test]
    fn lines_within_the_spread_do_not_cross() {
        let curves = Both { lambda: curve(10.0, 0.01, 5.0), kappa: curve(9.0, 0.012, 5.0) };
        assert_eq!(crossing(&curves), Crossing::NoDifference);
        let absent = Curve::absent("not run");
        assert_eq!(crossing(&Both { lambda: curve(1.0, 1.0, 0.0), kappa: absent }), Crossing::Unknown);
    }
}
