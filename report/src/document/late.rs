//! What happens to records that come late?

use super::block::{Block, Cell, ReportSection, Table};
use super::compared::{ComparedSides, bars, table};
use super::wording;
use crate::figures::{Both, Figures, LateRecord};

pub(super) fn section(figures: &Figures) -> ReportSection {
    let late = &figures.late;
    let seen = |what: &str, records: &Both<LateRecord>| {
        ComparedSides::lower(
            format!("A record {what} late: until it is in the answer"),
            &records.map(|late| late.seen.clone()),
        )
    };
    let rows = [seen("a day", &late.day), seen("a month", &late.month)];
    let exact = |what: &str, records: &Both<LateRecord>| {
        let cell = |record: &LateRecord| wording::exact(&record.exact, "runs");
        vec![Cell::plain(format!("A record {what} late: the answer")), cell(&records.lambda), cell(&records.kappa)]
    };
    let exact = vec![exact("a day", &late.day), exact("a month", &late.month)];
    let mut blocks = vec![table(&rows)];
    blocks.extend(bars("Time until a late record is in the answer", &rows.iter().collect::<Vec<_>>()));
    blocks.push(Block::Table(Table::new(["Figure", "Lambda", "Kappa"], exact)));
    ReportSection { id: "late", title: "What happens to late records?", how: Some(late.how.clone()), blocks }
}
