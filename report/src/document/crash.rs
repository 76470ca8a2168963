//! What happens on `kill -9`?

use super::block::{Block, Cell, ReportSection, Table};
use super::change::timelines;
use super::compared::{ComparedSides, bars, table};
use super::wording;
use crate::figures::Figures;

pub(super) fn section(figures: &Figures) -> ReportSection {
    let crash = &figures.crash;
    let recovery = ComparedSides::lower("Until answers are exact again", &crash.recovery);
    let read_again = ComparedSides::lower("Records read again", &crash.read_again);
    let exact = vec![vec![
        Cell::plain("Answers after the crash"),
        wording::exact(&crash.exact.lambda, "kills"),
        wording::exact(&crash.exact.kappa, "kills"),
    ]];
    let charts = [
        bars("Time until answers are exact again", &[&recovery]),
        bars("Records read again after a kill", &[&read_again]),
    ];
    let mut blocks = vec![
        Block::Text("The engine is killed with kill -9 at random moments, and started again.".into()),
        table(&[recovery, read_again]),
        Block::Table(Table::new(["Figure", "Lambda", "Kappa"], exact)),
    ];
    blocks.extend(charts.into_iter().flatten());
    blocks.extend(timelines("A crash as it went", &crash.timeline));
    ReportSection { id: "crash", title: "What does a crash cost?", how: Some(crash.how.clone()), blocks }
}
