//! How quick is an answer?

use super::block::ReportSection;
use super::compared::latencies;
use crate::figures::Figures;

pub(super) fn section(figures: &Figures) -> ReportSection {
    let answering = &figures.answering;
    let kinds = [
        ("One group by its key", &answering.point),
        ("Some groups by a filter", &answering.filtered),
        ("The whole view", &answering.whole),
    ];
    let blocks = latencies("Time of an answer: p50, p95 and p99", &kinds, &[50.0, 99.0]);
    ReportSection { id: "answering", title: "How quick is an answer?", how: Some(answering.how.clone()), blocks }
}
