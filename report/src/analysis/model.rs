//! The lines of the run, extended to what was not measured.

use super::{Line, fit_curve, quantity, total_bytes};
use crate::figures::{Both, Figures, Side};

/// The bytes of a terabyte.
const TB: f64 = 1e12;
/// Days of history that the model keeps.
pub const HISTORY_DAYS: f64 = 30.0;
/// The volumes of the model, in terabytes a day.
pub const TB_PER_DAY: [f64; 2] = [1.0, 1000.0];

/// A model with
/// ```text
/// records  = days * bytes a day / bytes a record
/// seconds  = a + b * records / machines
/// bytes    = a + b * records
/// machines = records a second / records a second that one machine keeps up with, rounded up
/// ```
/// `a` and `b` are those of the lines through the run's points. That the work divides evenly between machines is assumed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Model {
    /// Bytes of a record as it was produced.
    pub record_bytes: f64,
    /// Seconds to compute the views again.
    pub rebuild: Both<Option<Line>>,
    /// Bytes on disk.
    pub bytes: Both<Option<Line>>,
    /// Records a second that one machine takes in.
    pub rate: Both<Option<f64>>,
}

/// What the model says of one volume.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ModelScale {
    /// Records of the whole history.
    pub records: f64,
    /// Machines that keep up with the records as they come.
    pub machines: Both<Option<f64>>,
    /// Bytes on disk, on all machines together.
    pub bytes: Both<Option<f64>>,
}

impl Model {
    /// The model of a run. There is none if the size of its records is not known.
    pub fn of(figures: &Figures) -> Option<Self> {
        let record_bytes = figures.meta.payload_bytes as f64 / figures.meta.records as f64;
        (record_bytes.is_finite() && record_bytes > 0.0).then(|| Self {
            record_bytes,
            rebuild: figures.change.rebuild.map(fit_curve),
            bytes: figures.keeping.stores.map(|stores| fit_curve(&total_bytes(stores))),
            rate: figures.fast.catch_up.map(|rate| quantity(rate).ok().map(|rate| rate.median)),
        })
    }

    /// The records of the history at so many terabytes a day.
    pub fn records(&self, tb_per_day: f64) -> f64 {
        HISTORY_DAYS * tb_per_day * TB / self.record_bytes
    }

    /// What it takes at so many terabytes a day.
    pub fn scale(&self, tb_per_day: f64) -> ModelScale {
        let records = self.records(tb_per_day);
        let per_second = records / HISTORY_DAYS / 86_400.0;
        ModelScale {
            records,
            machines: self.rate.map(|rate| rate.filter(|rate| *rate > 0.0).map(|rate| (per_second / rate).ceil())),
            bytes: self.bytes.map(|line| line.map(|line| line.at(records))),
        }
    }

    /// Seconds to compute the views again from so many records on so many machines.
    pub fn rebuild_s(&self, side: Side, records: f64, machines: f64) -> Option<f64> {
        self.rebuild.of(side).map(|line| line.at(records / machines)).filter(|seconds| *seconds > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_become_records_machines_and_seconds() {
        let line = Some(Line { intercept: 10.0, slope: 1e-6, error: 0.0 });
        let model = Model {
            record_bytes: 100.0,
            rebuild: Both { lambda: line, kappa: None },
            bytes: Both { lambda: line, kappa: None },
            rate: Both { lambda: Some(50_000.0), kappa: None },
        };
        let scale = model.scale(1.0);
        assert_eq!(scale.records, 3e11);
        // 1e10 records a day are 115,740.7 a second.
        assert_eq!(scale.machines, Both { lambda: Some(3.0), kappa: None });
        assert_eq!(model.rebuild_s(Side::Lambda, 3e11, 3.0), Some(10.0 + 1e5));
        assert_eq!(model.rebuild_s(Side::Kappa, 3e11, 3.0), None);
    }
}
