//! What the report says, before it is HTML or Markdown: a first page, then one section for each question.

mod about;
mod answering;
mod block;
mod change;
mod compared;
mod crash;
mod crossings;
mod exact;
mod fast;
mod fresh;
mod keeping;
mod late;
mod lead;
mod model;
mod operation;
mod question;
mod wording;

pub(crate) use block::{
    BarGroup, Block, Card, Cell, Chart, ChartSeries, Drawing, RangeGroup, ReportSection, Stack, Stroke, Table, Tone,
};
pub(crate) use wording::happened;

use crate::Figures;

/// The whole report.
pub(crate) struct Document {
    pub(crate) title: String,
    /// The page that is read in a minute.
    pub(crate) lead: Vec<Block>,
    pub(crate) sections: Vec<ReportSection>,
}

/// What the report says of these figures.
pub(crate) fn document(figures: &Figures) -> Document {
    Document {
        title: format!("Lambda and Kappa on the pipeline {}", figures.meta.pipeline),
        lead: lead::lead(figures),
        sections: vec![
            fast::section(figures),
            fresh::section(figures),
            answering::section(figures),
            keeping::section(figures),
            change::section(figures),
            late::section(figures),
            question::section(figures),
            crash::section(figures),
            exact::section(figures),
            operation::section(figures),
            model::section(figures),
            about::section(figures),
        ],
    }
}
