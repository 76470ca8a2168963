//! The pipelines and their generated records: some late, some broken, across a change of the clocks.

use std::path::PathBuf;

use dovetail_connectors::sources::generate::{GenerateOptions, Kind, generate};

use crate::support::data;

pub(super) struct Input {
    pub(super) events: u64,
    pub(super) seed: u64,
}

/// 2026-11-01T02:00:00Z, four hours before New York's clocks go back.
const NEW_YORK_MS: i64 = 1_793_498_400_000;
/// 2026-10-24T22:30:00Z, two and a half hours before Vienna's do.
const VIENNA_MS: i64 = 1_792_881_000_000;

pub(super) fn pipeline(kind: Kind) -> PathBuf {
    data().join(folder(kind)).join("pipeline.sql")
}

pub(super) fn folder(kind: Kind) -> &'static str {
    match kind {
        Kind::Nyc311 => "nyc311",
        Kind::Clicks => "clicks",
        Kind::Weather => "weather",
    }
}

/// The same lines for the same input.
pub(super) fn lines(kind: Kind, input: &Input) -> Vec<Vec<u8>> {
    let start_ms = match kind {
        Kind::Nyc311 => Some(NEW_YORK_MS),
        Kind::Clicks => None,
        Kind::Weather => Some(VIENNA_MS),
    };
    let options = GenerateOptions { events: input.events, seed: input.seed, late: 0.05, bad: 0.01, start_ms };
    generate(kind, &options).collect()
}
