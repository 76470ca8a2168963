//! Are the answers the same?

use super::block::{Block, Cell, ReportSection, Table};
use super::wording;
use crate::figures::{Figures, ViewRows};
use crate::format;

pub(super) fn section(figures: &Figures) -> ReportSection {
    let exact = &figures.exact;
    let mut blocks = vec![Block::Text(sentence(figures))];
    if let Ok(views) = exact.views.get() {
        let head = [
            "View",
            "Rows compared",
            "Lambda and Kappa differ",
            "Lambda and a query differ",
            "Kappa and a query differ",
        ];
        blocks.push(Block::Table(Table::new(head, views.iter().map(row).collect())));
    }
    ReportSection { id: "exact", title: "Are the answers the same?", how: Some(exact.how.clone()), blocks }
}

/// How many rows differ, of how many.
pub(super) fn sentence(figures: &Figures) -> String {
    let views = match figures.exact.views.get() {
        Ok(views) => views,
        Err(reason) => return format!("Whether the answers are the same was {}.", wording::not_measured(reason)),
    };
    let rows = views.iter().map(|view| view.rows).fold(0, u64::saturating_add);
    let differences = views.iter().map(ViewRows::differences).fold(0, u64::saturating_add);
    let rows = format::whole(rows);
    match differences {
        0 => format!("0 of {rows} rows differ between Lambda, Kappa and a one-shot query over the same records."),
        _ => format!(
            "The answers are NOT the same: {} differences in {rows} rows between Lambda, Kappa and a one-shot query. \
             Nothing else in this report counts until they are.",
            format::whole(differences)
        ),
    }
}

fn row(view: &ViewRows) -> Vec<Cell> {
    let differing = |rows: u64| match rows {
        0 => Cell::plain("0"),
        _ => Cell::alarm(format::whole(rows)),
    };
    vec![
        Cell::plain(&view.view),
        Cell::plain(format::whole(view.rows)),
        differing(view.lambda_kappa),
        differing(view.lambda_query),
        differing(view.kappa_query),
    ]
}
