//! What a comparison has measured so far on one side: samples by the name of their figure, and the reasons why some are
//! missing.

use std::collections::BTreeMap;

use dovetail_report::figures::{Both, Curve, Latency, Measured, Quantity, Timeline, Unit};

/// The samples of one side.
#[derive(Debug, Default)]
pub(super) struct Bag {
    samples: BTreeMap<&'static str, Vec<f64>>,
    runs: BTreeMap<&'static str, Vec<Vec<f64>>>,
    points: BTreeMap<&'static str, BTreeMap<u64, Vec<f64>>>,
    flags: BTreeMap<&'static str, Vec<bool>>,
    timelines: BTreeMap<&'static str, Timeline>,
    /// Why figures have no samples, by the beginning of their names up to a dot.
    reasons: BTreeMap<&'static str, String>,
}

/// The reason where nothing else is known.
const NOT_REACHED: &str = "the comparison ended before it came to this";

impl Bag {
    /// Adds a sample.
    pub(super) fn add(&mut self, figure: &'static str, sample: f64) {
        self.samples.entry(figure).or_default().push(sample);
    }

    /// Adds the latencies of a run, in milliseconds; none are no run.
    pub(super) fn add_run(&mut self, figure: &'static str, ms: Vec<f64>) {
        if !ms.is_empty() {
            self.runs.entry(figure).or_default().push(ms);
        }
    }

    /// Adds a sample at a length of history.
    pub(super) fn add_point(&mut self, figure: &'static str, records: u64, sample: f64) {
        self.points.entry(figure).or_default().entry(records).or_default().push(sample);
    }

    /// Adds a yes or no.
    pub(super) fn add_flag(&mut self, figure: &'static str, flag: bool) {
        self.flags.entry(figure).or_default().push(flag);
    }

    /// Keeps the first timeline.
    pub(super) fn add_timeline(&mut self, figure: &'static str, timeline: Timeline) {
        self.timelines.entry(figure).or_insert(timeline);
    }

    /// Keeps the first reason why the figures whose names begin with `figures` are missing.
    pub(super) fn failed(&mut self, figures: &'static str, why: String) {
        self.reasons.entry(figures).or_insert(why);
    }

    /// The middle one of the samples called `figure`.
    pub(super) fn median(&self, figure: &str) -> Option<f64> {
        let mut samples = self.samples.get(figure)?.clone();
        samples.sort_unstable_by(f64::total_cmp);
        samples.get(samples.len() / 2).copied()
    }

    fn reason<T>(&self, figure: &str) -> Measured<T> {
        // The longest name that a reason was given for.
        let is_of = |name: &str| figure.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let reasons = self.reasons.iter().filter(|(name, _)| is_of(name));
        let reason = reasons.max_by_key(|(name, _)| name.len());
        Measured::absent(reason.map_or(NOT_REACHED, |(_, why)| why))
    }

    pub(super) fn quantity(&self, figure: &str, unit: Unit) -> Quantity {
        match self.samples.get(figure) {
            Some(samples) => Quantity::samples(unit, samples.clone()),
            None => self.reason(figure),
        }
    }

    fn latency(&self, figure: &str) -> Latency {
        match self.runs.get(figure) {
            Some(runs) => Latency::runs_ms(runs.clone()),
            None => self.reason(figure),
        }
    }

    pub(super) fn curve(&self, figure: &str, unit: Unit) -> Curve {
        match self.points.get(figure) {
            Some(points) => Curve::points(unit, points.clone()),
            None => self.reason(figure),
        }
    }

    pub(super) fn flags(&self, figure: &str) -> Measured<Vec<bool>> {
        self.flags.get(figure).cloned().map_or_else(|| self.reason(figure), Measured::Value)
    }

    fn timeline(&self, figure: &str) -> Measured<Timeline> {
        self.timelines.get(figure).cloned().map_or_else(|| self.reason(figure), Measured::Value)
    }
}

/// The quantity called `figure` of each side.
pub(super) fn quantities(bags: &Both<Bag>, figure: &str, unit: Unit) -> Both<Quantity> {
    bags.map(|bag| bag.quantity(figure, unit))
}

/// The latencies called `figure` of each side.
pub(super) fn latencies(bags: &Both<Bag>, figure: &str) -> Both<Latency> {
    bags.map(|bag| bag.latency(figure))
}

/// The timeline called `figure` of each side.
pub(super) fn timelines(bags: &Both<Bag>, figure: &str) -> Both<Measured<Timeline>> {
    bags.map(|bag| bag.timeline(figure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_has_its_samples_or_the_reason_of_its_question() {
        let mut bag = Bag::default();
        bag.add("fast.cpu", 1.5);
        bag.failed("fast", "the server did not answer".to_owned());
        bag.failed("fast", "a later reason".to_owned());
        assert_eq!(bag.quantity("fast.cpu", Unit::Seconds), Quantity::samples(Unit::Seconds, [1.5]));
        assert_eq!(bag.quantity("fast.catch_up", Unit::Seconds).get(), Err("the server did not answer"));
        assert_eq!(bag.median("fast.cpu"), Some(1.5));
        assert_eq!(bag.latency("fresh.idle").get(), Err(NOT_REACHED));
        bag.failed("fresh.idle", "idle alone".to_owned());
        assert_eq!(bag.latency("fresh.idle").get(), Err("idle alone"));
        assert_eq!(bag.latency("fresh.idler").get(), Err(NOT_REACHED));
        bag.add_run("fresh.idle", vec![]);
        assert!(bag.latency("fresh.idle").get().is_err());
    }
}
