//! What does a view cost that is added after the fact?

use super::block::{Block, ReportSection};
use super::compared::{ComparedSides, bars, table, without_verdicts};
use crate::figures::Figures;
use crate::format;

pub(super) fn section(figures: &Figures) -> ReportSection {
    let question = &figures.question;
    let right = ComparedSides::lower("Until the new view is right", &question.right);
    let missing = ComparedSides::lower("Records it would miss if the log kept a week", &question.missing_after_week);
    let mut blocks = vec![Block::Text(format!(
        "A view is added over a history of {} records that are there already.",
        format::whole(question.history)
    ))];
    let chart = bars("Time until a new view is right", &[&right]);
    let retention = bars("Records missing if the log kept a week (computed)", &[&missing]);
    blocks.push(table(&[right]));
    blocks.push(without_verdicts(&[missing]));
    blocks.push(Block::Assumption(
        "The records that would be missing are computed from the times of the records. No week was waited for.".into(),
    ));
    blocks.extend(chart);
    blocks.extend(retention);
    ReportSection { id: "question", title: "What does a new question cost?", how: Some(question.how.clone()), blocks }
}
