//! From values to places on an axis, and which values have a tick.

use crate::figures::Unit;
use crate::format;

/// The seconds that have a tick on a logarithmic axis.
const TIMES: [f64; 15] = [
    1e-6,
    1e-5,
    1e-4,
    1e-3,
    1e-2,
    0.1,
    1.0,
    10.0,
    120.0,
    1200.0,
    7200.0,
    172_800.0,
    1_728_000.0,
    31_536_000.0,
    315_360_000.0,
];

/// An axis.
pub(super) struct AxisScale {
    range: (f64, f64),
    pixels: (f64, f64),
    logarithmic: bool,
}

impl AxisScale {
    /// From 0 to at least `highest`.
    pub(super) fn linear(highest: f64, pixels: (f64, f64)) -> Self {
        let highest = if highest.is_finite() && highest > 0.0 { highest } else { 1.0 };
        Self { range: (0.0, highest), pixels, logarithmic: false }
    }

    /// From `lowest` to `highest`, both above 0.
    pub(super) fn logarithmic(lowest: f64, highest: f64, pixels: (f64, f64)) -> Self {
        let sound = |value: f64| value.is_finite() && value > 0.0;
        let lowest = if sound(lowest) { lowest } else { 1.0 };
        let highest = if sound(highest) && highest > lowest { highest } else { lowest * 10.0 };
        Self { range: (lowest, highest), pixels, logarithmic: true }
    }

    /// Where a value is. Values beyond the axis are at its ends.
    pub(super) fn at(&self, value: f64) -> f64 {
        let (low, high) = self.range;
        let part = match self.logarithmic {
            true if value > 0.0 => (value / low).ln() / (high / low).ln(),
            true => 0.0,
            false => (value - low) / (high - low),
        };
        self.pixels.0 + (self.pixels.1 - self.pixels.0) * part.clamp(0.0, 1.0)
    }

    /// Values for ticks: round ones, at most about `most`.
    pub(super) fn ticks(&self, most: usize) -> Vec<f64> {
        let ticks = if self.logarithmic { self.powers() } else { self.steps(most) };
        thinned(ticks, most)
    }

    /// Seconds for ticks.
    pub(super) fn times(&self, most: usize) -> Vec<f64> {
        if !self.logarithmic {
            return self.ticks(most);
        }
        let (low, high) = self.range;
        let mut times = TIMES.to_vec();
        times.extend((1..7).map(|power| 315_360_000.0 * 10f64.powi(power)));
        thinned(times.into_iter().filter(|time| (low..=high).contains(time)).collect(), most)
    }

    fn steps(&self, most: usize) -> Vec<f64> {
        let rough = self.range.1 / most as f64;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].iter().map(|nice| nice * power).find(|step| *step >= rough).unwrap_or(rough);
        (0..=most).map(|index| index as f64 * step).filter(|value| *value <= self.range.1 * 1.0001).collect()
    }

    fn powers(&self) -> Vec<f64> {
        let (low, high) = self.range;
        let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
        let few = high / low < 500.0;
        let nice: &[f64] = if few { &[1.0, 2.0, 5.0] } else { &[1.0] };
        powers
            .flat_map(|power| nice.iter().map(move |nice| nice * 10f64.powi(power)))
            .filter(|value| (low * 0.999..=high * 1.001).contains(value))
            .collect()
    }
}

fn thinned(ticks: Vec<f64>, most: usize) -> Vec<f64> {
    let every = ticks.len().div_ceil(most.max(1)).max(1);
    ticks.into_iter().step_by(every).collect()
}

/// The text of a tick.
pub(super) fn tick(value: f64, unit: Unit) -> String {
    match unit {
        Unit::Records => records(value),
        _ if value == 0.0 => "0".into(),
        _ => format::amount(value, unit),
    }
}

fn records(value: f64) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    if value < 1e9 {
        let sizes = [(1e6, "M"), (1e3, "k")];
        return match sizes.iter().find(|(size, _)| value >= *size) {
            Some((size, name)) => format!("{}{name}", format::number(value / size)),
            None => format::number(value),
        };
    }
    let power = value.log10().round() as usize;
    let digits = power.to_string();
    let raised = digits.bytes().filter_map(|digit| DIGITS.get(usize::from(digit.wrapping_sub(b'0'))));
    format!("10{}", raised.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(AxisScale::linear(23.0, (0.0, 1.0)).ticks(5), [0.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(AxisScale::logarithmic(3.0, 60.0, (0.0, 1.0)).ticks(9), [5.0, 10.0, 20.0, 50.0]);
        assert_eq!(AxisScale::logarithmic(1.0, 1e4, (0.0, 1.0)).ticks(9).len(), 5);
    }

    #[test]
    fn values_beyond_the_axis_are_at_its_ends() {
        let scale = AxisScale::logarithmic(1.0, 100.0, (0.0, 200.0));
        assert_eq!([scale.at(10.0), scale.at(0.0), scale.at(1e9)], [100.0, 0.0, 200.0]);
        assert_eq!(AxisScale::linear(f64::NAN, (0.0, 200.0)).at(0.5), 100.0);
    }

    #[test]
    fn many_records_are_powers() {
        assert_eq!([records(1_500.0), records(2e6), records(1e12)], ["1.5k", "2M", "10¹²"]);
    }
}
