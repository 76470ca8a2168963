//! What happens on `kill -9`?

use super::block::{Block, Cell, Section, Table};
use super::change::timelines;
use super::compared::{Compared, bars, table};
use super::wording;
use crate::figures::Figures;

pub(super) fn section(figures: &Figures) -> Section {
    let crash = &figures.crash;
    let recovery = Compared::lower("Until answers are exact again", &crash.recovery);
    let read_again = Compared::lower("Records read again", &crash.read_again);
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
    Section { id: "crash", title: "What does a crash cost?", how: Some(crash.how.clone()), blocks }
}
