//! Measured figures, one table: `cargo run --release -p dovetail-bench -- [--events N] [SECTION ..]`.
//!
//! Sections run one after the other in one process on a temporary folder; each is a file. Figures of one run can be
//! compared with each other, those of two runs only when the machine did nothing else.

#![expect(clippy::disallowed_methods, reason = "figures are measured in real time")]

mod fold;
mod freshness;
mod input;
mod kafka;
mod latency;
mod recompute;
mod report;
mod restart;
mod run;
mod sums;
mod throughput;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, ValueEnum};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
pub(crate) struct BenchArgs {
    /// Sections to run; all if none is named.
    #[arg(value_enum)]
    sections: Vec<Section>,
    /// Records of the throughput and recompute sections.
    #[arg(long, default_value_t = 20_000_000)]
    events: u64,
    /// Records above the cut of the restart section.
    #[arg(long, default_value_t = 5_000_000)]
    tail: u64,
    /// Records of the Kafka section. With fewer, a run ends when the age of the segments closes them.
    #[arg(long, default_value_t = 8_000_000)]
    kafka_events: u64,
    /// Seconds of each latency measurement.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Folder for the data; a temporary one by default.
    #[arg(long)]
    folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Section {
    /// Decode and fold alone, on one core.
    Fold,
    /// Exact sums beside DataFusion's, on one core.
    Sums,
    /// Embedded log to both layers, then full and incremental recompute.
    Throughput,
    /// Freshness and query latency at 100,000 records/s.
    Latency,
    /// Restart to the first correct answer.
    Restart,
    /// Kafka to one layer and to both; needs `KAFKA_BROKERS`.
    Kafka,
}

fn main() -> Result<()> {
    let args = BenchArgs::parse();
    let wanted = |section| args.sections.is_empty() || args.sections.contains(&section);
    let mut report = report::BenchReport::default();
    if wanted(Section::Fold) {
        fold::measure(&mut report)?;
    }
    if wanted(Section::Sums) {
        sums::measure(&mut report)?;
    }
    if wanted(Section::Throughput) {
        throughput::measure(&args, &mut report)?;
    }
    if wanted(Section::Latency) {
        latency::measure(&args, &mut report)?;
    }
    if wanted(Section::Restart) {
        restart::measure(&args, &mut report)?;
    }
    if wanted(Section::Kafka) {
        kafka::measure(&args, &mut report)?;
    }
    report.print();
    Ok(())
}
