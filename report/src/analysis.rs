//! What the samples say: medians with their spread, verdicts, lines through points, where lines cross, and a model of
//! what was not measured.

mod costs;
mod crossing;
mod line;
mod model;
mod summary;
mod totals;
mod verdict;

pub use costs::{MonthlyBytes, even_changes, monthly_bytes};
pub use crossing::{Crossing, cross, crossing};
pub use line::{Line, fit, fit_curve};
pub use model::{HISTORY_DAYS, Model, ModelScale, TB_PER_DAY};
pub use summary::{Known, Summary, latency, percentile, quantity};
pub use totals::total_bytes;
pub use verdict::{Better, Verdict, compare};
