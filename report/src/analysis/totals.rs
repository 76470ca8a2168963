//! All bytes that an architecture keeps.

use crate::figures::{Curve, Measured, Point, Points, Stores, Unit};

/// The bytes on disk at each length: log, landing, states and checkpoints, run by run. A length at which one of them
/// was not measured is left out.
pub fn total_bytes(stores: &Stores) -> Curve {
    let mut total: Option<Points> = None;
    for store in [&stores.log, &stores.landing, &stores.states, &stores.checkpoints] {
        let points = match store {
            Measured::Value(points) => points,
            Measured::Absent(absent) => return Measured::Absent(absent.clone()),
        };
        total = Some(match total {
            None => points.clone(),
            Some(total) => Points { unit: Unit::Bytes, points: add(&total.points, &points.points) },
        });
    }
    total.map_or_else(|| Curve::absent("there are no stores"), Measured::Value)
}

fn add(one: &[Point], other: &[Point]) -> Vec<Point> {
    let sums = one.iter().filter_map(|point| {
        let other = other.iter().find(|other| other.records == point.records)?;
        let samples = point.samples.iter().zip(&other.samples).map(|(one, other)| one + other).collect();
        Some(Point { records: point.records, samples })
    });
    sums.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_added_run_by_run() {
        let curve = |points: &[(u64, f64, f64)]| {
            Curve::points(Unit::Bytes, points.iter().map(|(records, one, two)| (*records, vec![*one, *two])))
        };
        let mut stores = Stores {
            log: curve(&[(1, 1.0, 2.0), (2, 3.0, 4.0)]),
            landing: curve(&[(1, 10.0, 20.0), (2, 30.0, 40.0)]),
            states: curve(&[(2, 100.0, 100.0)]),
            checkpoints: curve(&[(1, 0.0, 0.0), (2, 0.0, 0.0)]),
            memory: Curve::absent("not a store"),
        };
        assert_eq!(total_bytes(&stores), curve(&[(2, 133.0, 144.0)]));
        stores.log = Curve::absent("no log");
        assert_eq!(total_bytes(&stores), Curve::absent("no log"));
    }
}
