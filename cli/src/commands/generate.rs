//! `dovetail generate`.

use std::io::{BufWriter, ErrorKind, Write};
use std::process::ExitCode;

use anyhow::Result;
use dovetail_connectors::sources::generate::{GenerateOptions, Kind as Generated, generate};

use crate::args::{Generate, GeneratedKind};

pub(super) fn run(args: &Generate) -> Result<ExitCode> {
    let Generate { events, seed, late, bad, start_ms, .. } = *args;
    let options = GenerateOptions { events, seed, late, bad, start_ms };
    let mut generator = generate(kind(args.kind), &options);
    let mut out = BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    let mut line = vec![];
    while generator.write_next(&mut line) {
        line.push(b'\n');
        match out.write_all(&line) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(ExitCode::SUCCESS),
            written => written?,
        }
        line.clear();
    }
    match out.flush() {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        flushed => Ok(flushed.map(|()| ExitCode::SUCCESS)?),
    }
}

fn kind(kind: GeneratedKind) -> Generated {
    match kind {
        GeneratedKind::Nyc311 => Generated::Nyc311,
        GeneratedKind::Clicks => Generated::Clicks,
        GeneratedKind::Weather => Generated::Weather,
    }
}
