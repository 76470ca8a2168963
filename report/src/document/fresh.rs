//! How soon is a record in an answer?

use super::block::{Block, ReportSection};
use super::compared::latencies;
use crate::figures::Figures;

pub(super) fn section(figures: &Figures) -> ReportSection {
    let fresh = &figures.fresh;
    let kinds = [
        ("Idle", &fresh.idle),
        ("At half load", &fresh.half_load),
        ("During a batch run / a checkpoint", &fresh.background),
        ("During a full recompute / a replay", &fresh.replay),
    ];
    let mut blocks =
        vec![Block::Text("The time from the acknowledgement of a record to the first answer that has it.".into())];
    blocks.extend(latencies("From acknowledged to visible: p50, p95 and p99", &kinds, &[50.0, 95.0, 99.0]));
    ReportSection { id: "fresh", title: "How soon is a record in an answer?", how: Some(fresh.how.clone()), blocks }
}
