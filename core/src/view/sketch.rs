//! Comparison of t-digests by the ranks of their values.
//!
//! A t-digest bounds the error of a value's rank (Dunning and Ertl, "Computing Extremely Accurate Quantiles Using
//! t-Digests", 2019), so two foldings of the same rows may answer 784 and 1,399 where values lie far apart. The number
//! of values, their least and greatest, their sum, and the rank of each digest's quantiles in the other have to agree.

use std::collections::HashMap;

use arrow::array::{Array, RecordBatch};
use arrow::row::{RowConverter, SortField};
use arrow::util::display::array_value_to_string;
use datafusion::common::{Result, ScalarValue};
use datafusion_functions_aggregate_common::tdigest::{Centroid, TDigest};

use super::compare::Difference;
use super::{Exactness, View};

/// Ranks at which two digests are compared.
const PROBES: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];
/// Greatest relative difference of the counts and sums that a digest keeps as floats.
const FLOAT_TOLERANCE: f64 = 1e-9;
/// Greatest difference of ranks, besides the width of the digest's own clusters.
const RANK_TOLERANCE: f64 = 0.02;

impl View {
    /// Whether a column of the view comes from a sketch, so that a comparison of answers says little about it.
    pub fn has_sketches(&self) -> bool {
        self.exactness == Exactness::Sketch
    }

    /// Groups whose sketches differ by more than their error, in two states of the same rows.
    pub fn compare_sketches(&self, left: &[RecordBatch], right: &[RecordBatch]) -> Result<Vec<Difference>> {
        let sketches = self.aggregation.as_ref().map_or(vec![], |aggregation| aggregation.sketches());
        let mut differences = vec![];
        if sketches.is_empty() {
            return Ok(differences);
        }
        let (left, mut right) = (self.by_group(left)?, self.by_group(right)?);
        for (key, (state, row)) in left {
            let Some((other, other_row)) = right.remove(&key) else {
                differences.push(Difference { left: Some(self.group_text(&state, row)?), right: None });
                continue;
            };
            for columns in &sketches {
                let (mine, theirs) = (digest(&state, row, columns)?, digest(&other, other_row, columns)?);
                if let Some((mine, theirs)) = difference(&mine, &theirs) {
                    let group = self.group_text(&state, row)?;
                    let text = |what| Some(format!("{group}: {what}"));
                    differences.push(Difference { left: text(mine), right: text(theirs) });
                }
            }
        }
        for (state, row) in right.into_values() {
            differences.push(Difference { left: None, right: Some(self.group_text(&state, row)?) });
        }
        Ok(differences)
    }

    fn by_group(&self, states: &[RecordBatch]) -> Result<HashMap<Vec<u8>, (RecordBatch, usize)>> {
        let mut rows = HashMap::new();
        for state in self.merge(states)? {
            let groups = &state.columns()[..self.group_columns()];
            if groups.is_empty() {
                rows.extend((0..state.num_rows()).map(|row| (vec![], (state.clone(), row))));
                continue;
            }
            let fields = groups.iter().map(|column| SortField::new(column.data_type().clone())).collect();
            let keys = RowConverter::new(fields)?.convert_columns(groups)?;
            rows.extend(keys.iter().enumerate().map(|(row, key)| (key.as_ref().to_vec(), (state.clone(), row))));
        }
        Ok(rows)
    }

    fn group_text(&self, state: &RecordBatch, row: usize) -> Result<String> {
        let groups = state.columns().iter().take(self.group_columns());
        let values = groups.map(|column| array_value_to_string(column, row)).collect::<Result<Vec<_>, _>>()?;
        Ok(values.join(" | "))
    }
}

fn digest(state: &RecordBatch, row: usize, columns: &std::ops::Range<usize>) -> Result<TDigest> {
    let parts = columns.clone().map(|column| ScalarValue::try_from_array(state.column(column), row));
    Ok(TDigest::from_scalar_state(&parts.collect::<Result<Vec<_>>>()?))
}

/// The first difference of the digests, on either side.
fn difference(left: &TDigest, right: &TDigest) -> Option<(String, String)> {
    let told = |what: &str, a: f64, b: f64| Some((format!("{what} {a}"), format!("{what} {b}")));
    if !close(left.count(), right.count(), right.count()) {
        return told("values", left.count(), right.count());
    }
    if left.count() == 0.0 {
        return None;
    }
    for (what, a, b) in [("least", left.min(), right.min()), ("greatest", left.max(), right.max())] {
        if a != b && !(a.is_nan() && b.is_nan()) {
            return told(what, a, b);
        }
    }
    let magnitude = right.count() * right.min().abs().max(right.max().abs());
    if !close(left.sum(), right.sum(), magnitude) {
        return told("sum", left.sum(), right.sum());
    }
    PROBES.iter().find_map(|&rank| {
        let value = left.estimate_quantile(rank);
        let (low, high) = rank_of(right, value);
        let apart = rank < low - RANK_TOLERANCE || rank > high + RANK_TOLERANCE;
        apart.then(|| (format!("{value} at rank {rank}"), format!("{value} at rank {low:.3} to {high:.3}")))
    })
}

fn close(a: f64, b: f64, magnitude: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= FLOAT_TOLERANCE * magnitude.abs()
}

/// The least and greatest rank of `value`: as far as the clusters beside it reach.
fn rank_of(digest: &TDigest, value: f64) -> (f64, f64) {
    let clusters = digest.centroids();
    let (mut below, mut upto) = (0, 0);
    for (i, cluster) in clusters.iter().enumerate() {
        match cluster.mean().total_cmp(&value) {
            std::cmp::Ordering::Less => (below, upto) = (i + 1, i + 1),
            std::cmp::Ordering::Equal => upto = i + 1,
            std::cmp::Ordering::Greater => break,
        }
    }
    let weight = |to: usize| clusters.iter().take(to).map(Centroid::weight).sum::<f64>();
    (weight(below.saturating_sub(1)) / digest.count(), weight(upto + 1) / digest.count())
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::seq::SliceRandom;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// The digest of `values`, folded in pieces of random sizes and merged.
    fn folded(values: &[f64], random: &mut StdRng) -> TDigest {
        let mut values = values.to_vec();
        values.shuffle(random);
        let mut digests = vec![];
        let mut rest = values.as_slice();
        while !rest.is_empty() {
            let (piece, others) = rest.split_at(random.random_range(1..=rest.len()));
            digests.push(TDigest::new(100).merge_unsorted_f64(piece.to_vec()));
            rest = others;
        }
        TDigest::merge_digests(&digests)
    }

    #[test]
    fn foldings_of_the_same_values_agree() {
        let random = &mut StdRng::seed_from_u64(7);
        for n in [1, 2, 7, 100, 3_000, 20_000] {
            let even: Vec<f64> = (0..n).map(f64::from).collect();
            let skewed: Vec<f64> = (0..n).map(|_| random.random::<f64>().powi(-3)).collect();
            let few: Vec<f64> = (0..n).map(|_| f64::from(random.random_range(0..4))).collect();
            for values in [even, skewed, few] {
                let (a, b) = (folded(&values, random), folded(&values, random));
                assert_eq!(difference(&a, &b), None, "{n} values");
            }
        }
    }

    #[test]
    fn a_value_lost_doubled_or_changed_is_seen() {
        let random = &mut StdRng::seed_from_u64(8);
        let values: Vec<f64> = (0..5_000).map(f64::from).collect();
        let all = folded(&values, random);
        let differs = |other: &[f64], random: &mut StdRng| difference(&all, &folded(other, random));
        assert!(differs(&values[1..], random).is_some(), "lost");
        assert!(differs(&[values.clone(), vec![17.0]].concat(), random).is_some(), "doubled");
        let changed: Vec<f64> = values.iter().map(|v| if *v == 40.0 { 41.0 } else { *v }).collect();
        assert!(differs(&changed, random).is_some(), "changed");
        // Same count, least, greatest and sum, another distribution.
        let drawn_in = values.iter().map(|v| 2499.5 + (v - 2499.5) / 2.0).collect::<Vec<_>>();
        let drawn_in = [&[0.0, 4999.0], &drawn_in[1..4999]].concat();
        let (left, right) = differs(&drawn_in, random).unwrap();
        assert!(left.contains("rank") && right.contains("rank"), "{left}; {right}");
    }
}
