//! What happens when the code of a view changes?

use super::block::{Block, Drawing, ReportSection};
use super::compared::{ComparedSides, bars, latencies, table};
use super::{keeping, wording};
use crate::figures::{Both, Curve, Figures, Measured, Quantity, Side, Timeline};
use crate::format;

pub(super) fn section(figures: &Figures) -> ReportSection {
    let change = &figures.change;
    let times = [
        ComparedSides::lower("Until the new answer is right", &change.right),
        ComparedSides::lower("Until readers get it", &change.switched),
        ComparedSides::lower("To go back to the old answer", &change.back),
    ];
    let extras = [
        ComparedSides::lower("Extra processor time", &change.extra_cpu),
        ComparedSides::lower("Extra memory at the highest", &change.extra_memory),
        ComparedSides::lower("Extra disk at the highest", &change.extra_disk),
    ];
    let mut blocks = vec![Block::Text(format!(
        "The code of a view changes over a history of {} records.",
        format::whole(change.history)
    ))];
    blocks.push(table(&times));
    blocks.extend(bars("Time of a change", &times.iter().collect::<Vec<_>>()));
    blocks.extend(timelines("A change of the code as it went", &change.timeline));
    blocks.push(table(&extras));
    blocks.push(Block::Heading("Answers meanwhile".into()));
    blocks.extend(latencies("Time of an answer during the change", &[("An answer", &change.answers)], &[50.0, 99.0]));
    blocks.push(Block::Heading("By length of history".into()));
    blocks.push(Block::Text(
        "Lambda computes the views again from its landing (a full recompute). Kappa reads its log again (a replay)."
            .into(),
    ));
    blocks.extend(by_length(&change.rebuild));
    blocks.extend(wording::missing("The time to compute the views again", &change.rebuild).map(Block::Text));
    blocks.extend(keeping::lines("Time to compute the views again", &change.rebuild));
    ReportSection { id: "change", title: "What does a change of the code cost?", how: Some(change.how.clone()), blocks }
}

/// A table with each length at which both sides were measured.
fn by_length(rebuild: &Both<Curve>) -> Option<Block> {
    let (Ok(lambda), Ok(kappa)) = (rebuild.lambda.get(), rebuild.kappa.get()) else { return None };
    let rows = lambda.points.iter().filter_map(|point| {
        let other = kappa.points.iter().find(|other| other.records == point.records)?;
        let both = Both {
            lambda: Quantity::samples(lambda.unit, point.samples.clone()),
            kappa: Quantity::samples(kappa.unit, other.samples.clone()),
        };
        Some(ComparedSides::lower(format!("{} records", format::large(point.records as f64)), &both))
    });
    Some(table(&rows.collect::<Vec<_>>()))
}

/// A chart of what happened on each side, and a sentence for a side of which that is not known.
pub(super) fn timelines(title: &str, both: &Both<Measured<Timeline>>) -> Vec<Block> {
    let mut blocks = Vec::from_iter(wording::missing(title, both).map(Block::Text));
    let known: Vec<(Side, Timeline)> = Side::ALL
        .into_iter()
        .filter_map(|side| Some((side, both.of(side).get().ok()?.clone())))
        .filter(|(_, timeline)| !timeline.is_empty())
        .collect();
    if !known.is_empty() {
        blocks.push(Block::chart(title, Drawing::Timelines(known)));
    }
    blocks
}
