//! Embedded log to both layers, with the log filled beforehand; then recomputes over what was landed.

use std::time::{Duration, Instant};

use anyhow::Result;
use dovetail_server::process::engine::Engine;

use crate::report::{BenchReport, thousands};
use crate::run::{Bench, cpu_seconds, folded, resident_mib};
use crate::{BenchArgs, recompute};

pub(crate) fn measure(args: &BenchArgs, report: &mut BenchReport) -> Result<()> {
    let bench = Bench::new(args, "throughput")?;
    let filling = bench.fill(args.events, 1)?;
    let rate = thousands(args.events as f64 / filling.as_secs_f64());
    report.add("append to the embedded log (durable, generation included)", format!("{rate} records/s"), "");
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let engine = bench.start("clicks.sql")?;
    let done = wait(&bench, &engine, args.events)?;
    let seconds = began.elapsed().as_secs_f64();
    let rate = thousands(args.events as f64 / seconds);
    report.add("log -> both layers, landed and folded", format!("{rate} records/s over {seconds:.1} s"), "800,000");
    let busy = (cpu_seconds() - cpu) / seconds;
    report.add("  processors busy", format!("{busy:.2}"), "");
    report.add("  resident memory at 1/4, 1/2, 3/4, end", done.memory.join(", "), "flat");
    report.add(
        "  of that, states of the speed layer",
        format!("{:.0} MiB", engine.speed()?.bytes() as f64 / 1048576.0),
        "",
    );
    recompute::measure(args, &bench, &engine, report)?;
    bench.stop(engine);
    Ok(())
}

struct Done {
    memory: Vec<String>,
}

/// Waits until all is folded and landed.
fn wait(bench: &Bench, engine: &Engine, events: u64) -> Result<Done> {
    let mut memory = vec![];
    loop {
        let folded = folded(engine) as u64;
        let landed = bench.serve.block_on(engine.catalog.next_offsets("clicks"))?.total() as u64;
        while memory.len() < 3 && folded.min(landed.max(folded / 2)) >= events * (memory.len() as u64 + 1) / 4 {
            memory.push(format!("{:.0} MiB", resident_mib()));
        }
        if folded >= events && landed >= events {
            memory.push(format!("{:.0} MiB", resident_mib()));
            return Ok(Done { memory });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
