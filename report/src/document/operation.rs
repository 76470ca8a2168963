//! What has to be run and set?

use super::block::{Block, Cell, ReportSection, Table};
use crate::figures::{Figures, OperationRow, Topic};

pub(super) fn section(figures: &Figures) -> ReportSection {
    let rows = &figures.operation.rows;
    let blocks = match rows.is_empty() {
        true => vec![Block::Text("Nothing was written down about it.".into())],
        false => {
            let sorted = Topic::ALL.iter().flat_map(|topic| rows.iter().filter(move |row| row.topic == *topic));
            vec![Block::Table(Table::new(["What", "Lambda", "Kappa"], sorted.map(cells).collect()))]
        }
    };
    ReportSection { id: "operation", title: "What has to be run and set?", how: None, blocks }
}

fn cells(row: &OperationRow) -> Vec<Cell> {
    vec![Cell::plain(row.topic.title()), Cell::plain(&row.lambda), Cell::plain(&row.kappa)]
}
