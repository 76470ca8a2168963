//! Figures side by side, with their verdict.

use super::block::{BarGroup, Block, Cell, Drawing, RangeGroup, Table};
use super::wording;
use crate::analysis::{Better, Known, Verdict, compare, latency, quantity};
use crate::figures::{Both, Latency, Quantity};

/// One figure of both sides.
pub(super) struct ComparedSides {
    pub(super) what: String,
    pub(super) known: Both<Known>,
    pub(super) better: Better,
}

impl ComparedSides {
    /// A quantity of which less is better.
    pub(super) fn lower(what: impl Into<String>, both: &Both<Quantity>) -> Self {
        Self { what: what.into(), known: both.map(quantity), better: Better::Lower }
    }

    /// A quantity of which more is better.
    pub(super) fn higher(what: impl Into<String>, both: &Both<Quantity>) -> Self {
        Self { better: Better::Higher, ..Self::lower(what, both) }
    }

    /// A percentile of latencies.
    pub(super) fn percentile(what: &str, both: &Both<Latency>, percent: f64) -> Self {
        let known = both.map(|both| latency(both, percent));
        Self { what: format!("{what}, p{percent}"), known, better: Better::Lower }
    }

    pub(super) fn verdict(&self) -> Verdict {
        compare(&self.known, self.better)
    }

    /// What it is, both sides and the verdict.
    pub(super) fn row(&self) -> Vec<Cell> {
        vec![
            Cell::plain(&self.what),
            wording::known(&self.known.lambda),
            wording::known(&self.known.kappa),
            wording::verdict(self.verdict(), self.better),
        ]
    }

    fn bars(&self) -> BarGroup {
        BarGroup { label: self.what.clone(), bars: self.known.map(|known| known.as_ref().ok().copied()) }
    }
}

/// A table with a row for each.
pub(super) fn table(rows: &[ComparedSides]) -> Block {
    Block::Table(Table::new(["Figure", "Lambda", "Kappa", "Better"], rows.iter().map(ComparedSides::row).collect()))
}

/// A table of figures of which neither less nor more is better, or that are computed.
pub(super) fn without_verdicts(rows: &[ComparedSides]) -> Block {
    let rows = rows.iter().map(|row| row.row().into_iter().take(3).collect()).collect();
    Block::Table(Table::new(["Figure", "Lambda", "Kappa"], rows))
}

/// A chart with bars for each of which a side was measured; nothing if none was.
pub(super) fn bars(title: &str, rows: &[&ComparedSides]) -> Option<Block> {
    let groups: Vec<BarGroup> = rows
        .iter()
        .map(|row| row.bars())
        .filter(|group| group.bars.lambda.is_some() || group.bars.kappa.is_some())
        .collect();
    (!groups.is_empty()).then(|| Block::chart(title, Drawing::Bars(groups)))
}

/// The rows and the chart of some latencies.
pub(super) fn latencies(title: &str, kinds: &[(&str, &Both<Latency>)], percents: &[f64]) -> Vec<Block> {
    let rows: Vec<ComparedSides> = kinds
        .iter()
        .flat_map(|(what, both)| percents.iter().map(|percent| ComparedSides::percentile(what, both, *percent)))
        .collect();
    let groups: Vec<RangeGroup> = kinds
        .iter()
        .map(|(what, both)| RangeGroup { label: (*what).to_owned(), ranges: both.map(range) })
        .filter(|group| group.ranges.lambda.is_some() || group.ranges.kappa.is_some())
        .collect();
    let mut blocks = vec![table(&rows)];
    if !groups.is_empty() {
        blocks.push(Block::chart(title, Drawing::Ranges(groups)));
    }
    blocks
}

fn range(both: &Latency) -> Option<[f64; 3]> {
    let percentile = |percent| latency(both, percent).ok().map(|known| known.median);
    Some([percentile(50.0)?, percentile(95.0)?, percentile(99.0)?])
}
