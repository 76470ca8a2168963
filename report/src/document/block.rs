//! What a page is made of.

use crate::analysis::Summary;
use crate::figures::{Both, Side, Timeline, Unit};

/// A question, and what was measured of it.
pub(crate) struct ReportSection {
    /// The anchor of its heading.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// How it was measured, if that was not said elsewhere.
    pub(crate) how: Option<String>,
    pub(crate) blocks: Vec<Block>,
}

/// A part of a page.
pub(crate) enum Block {
    Heading(String),
    Text(String),
    /// What holds only if something does that was not measured.
    Assumption(String),
    List(Vec<String>),
    Cards(Vec<Card>),
    Table(Table),
    Chart(Chart),
    Code(String),
}

/// A short list with a title of its own colour.
pub(crate) struct Card {
    pub(crate) tone: Tone,
    pub(crate) title: String,
    pub(crate) items: Vec<String>,
}

/// A table. Each row has as many cells as the head.
pub(crate) struct Table {
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

/// What a text is about, which gives it its colour.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Side(Side),
    /// Neither side, or nothing.
    Muted,
    /// Something is wrong.
    Alarm,
}

/// A drawing with its title.
pub(crate) struct Chart {
    pub(crate) title: String,
    pub(crate) drawing: Drawing,
}

pub(crate) enum Drawing {
    /// Bars with the spread of their samples.
    Bars(Vec<BarGroup>),
    /// The 50th, 95th and 99th percentile of each latency in milliseconds, on a logarithmic axis.
    Ranges(Vec<RangeGroup>),
    /// Parts of a whole.
    Stacks { unit: Unit, parts: Vec<&'static str>, stacks: Vec<Stack> },
    /// Lines over the length of history in records.
    Lines { unit: Unit, logarithmic: bool, series: Vec<ChartSeries>, marks: Vec<(f64, String)> },
    /// What happened when.
    Timelines(Vec<(Side, Timeline)>),
}

pub(crate) struct BarGroup {
    pub(crate) label: String,
    pub(crate) bars: Both<Option<Summary>>,
}

pub(crate) struct RangeGroup {
    pub(crate) label: String,
    pub(crate) ranges: Both<Option<[f64; 3]>>,
}

pub(crate) struct Stack {
    pub(crate) side: Side,
    /// One value for each part.
    pub(crate) values: Vec<f64>,
}

/// A line with its points.
pub(crate) struct ChartSeries {
    pub(crate) side: Side,
    pub(crate) stroke: Stroke,
    /// What stands beside it.
    pub(crate) label: Option<String>,
    /// Records; the median, the lowest and the highest sample.
    pub(crate) points: Vec<(f64, [f64; 3])>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stroke {
    /// Measured: points with error bars.
    Measured,
    /// A model: dashed, without points.
    Model,
}

impl Cell {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Plain }
    }

    pub(crate) fn muted(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Muted }
    }

    pub(crate) fn alarm(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Alarm }
    }
}

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N], rows: Vec<Vec<Cell>>) -> Self {
        Self { head: head.map(str::to_owned).to_vec(), rows }
    }
}

impl Block {
    pub(crate) fn chart(title: impl Into<String>, drawing: Drawing) -> Self {
        Self::Chart(Chart { title: title.into(), drawing })
    }
}
