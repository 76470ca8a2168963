//! What was compared, where and how.

use super::block::{Block, Cell, ReportSection, Table};
use crate::figures::{Figures, Meta, Origin, ReportedLog};
use crate::format;

pub(super) fn section(figures: &Figures) -> ReportSection {
    let meta = &figures.meta;
    let rows = facts(meta).into_iter().map(|(name, value)| vec![Cell::plain(name), Cell::plain(value)]).collect();
    let blocks = vec![
        Block::Table(Table::new(["What", "Value"], rows)),
        Block::Text("Lambda and Kappa ran alternately, each alone on the machine, in processes of its own.".into()),
        Block::Text(
            "A figure is the median of its samples, with the lowest and the highest in brackets. A percentile is taken \
             of each run by itself. A side is better if the samples of the two do not overlap and the medians differ by \
             more than the larger spread. Otherwise no difference was measured."
                .into(),
        ),
        Block::Text("Bytes are decimal: 1 MB is 1,000,000 bytes. report.json has every sample.".into()),
        Block::Heading("The pipeline".into()),
        Block::Code(meta.sql.clone()),
        Block::Heading("The command".into()),
        Block::Code(meta.command.clone()),
    ];
    ReportSection { id: "about", title: "What was compared", how: None, blocks }
}

fn facts(meta: &Meta) -> Vec<(String, String)> {
    let mut facts = vec![
        ("Pipeline".into(), meta.pipeline.clone()),
        ("Records".into(), records(meta)),
        ("Log".into(), log(meta.log).into()),
        ("Rate for costs per month".into(), format!("{} records/s", format::number(meta.rate))),
        ("Runs of each architecture".into(), runs(meta)),
        ("Machine".into(), machine(meta)),
        ("Date".into(), meta.date.clone()),
        ("Time of the whole comparison".into(), format::seconds(meta.total_s)),
    ];
    facts.extend(meta.versions.iter().map(|(name, version)| (format!("Version of {name}"), version.clone())));
    facts
}

/// One line about what this report is about.
pub(super) fn line(meta: &Meta) -> String {
    format!("{}; {}; {}; {}.", records(meta), log(meta.log), runs(meta), machine(meta))
}

fn records(meta: &Meta) -> String {
    let origin = match &meta.origin {
        Origin::Seed(seed) => format!("generated from seed {seed}"),
        Origin::File(file) => format!("from the file {file}"),
    };
    let size = format::bytes(meta.payload_bytes as f64);
    format!("{} records of {size} together, {origin}", format::whole(meta.records))
}

fn log(log: ReportedLog) -> &'static str {
    match log {
        ReportedLog::Embedded => "the embedded log",
        ReportedLog::Kafka => "Kafka",
    }
}

fn runs(meta: &Meta) -> String {
    let quick = if meta.quick { ", in the quick form, which measures less" } else { "" };
    let runs = if meta.runs == 1 { "run" } else { "runs" };
    format!("{} {runs} of each architecture{quick}", meta.runs)
}

fn machine(meta: &Meta) -> String {
    let machine = &meta.machine;
    let memory = format::bytes(machine.memory_bytes as f64);
    format!("{} processors ({}), {memory} of memory, {}", machine.cpus, machine.cpu, machine.os)
}
