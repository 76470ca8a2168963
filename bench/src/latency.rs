//! Freshness and query latency while 100,000 records a second are appended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use dovetail_core::catalog::RunKind;
use dovetail_server::process::engine::Engine;
use tokio_util::sync::CancellationToken;

use crate::BenchArgs;
use crate::freshness::{Load, Since};
use crate::report::{BenchReport, quantile_ms, thousands};
use crate::run::Bench;

const RATE: usize = 100_000;
/// Records before it begins, landed and published.
const BEFORE: u64 = 2_000_000;

pub(crate) fn measure(args: &BenchArgs, report: &mut BenchReport) -> Result<()> {
    let bench = Bench::new(args, "latency")?;
    bench.fill(BEFORE, 3)?;
    let engine = bench.start("latency.sql")?;
    let stop = CancellationToken::new();
    bench.serve.block_on(async {
        while engine.catalog.next_offsets("clicks").await?.total() < BEFORE as i64 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        engine.batch()?.recompute(RunKind::Full, None).await?;
        let load = Load::new("clicks", RATE, BEFORE as i64, Since::Acknowledged);
        let appending = bench.work.spawn(Arc::clone(&load).run(Arc::clone(&engine), stop.clone()));
        let time = Duration::from_secs(args.seconds);
        let fresh = load.freshness(&engine, time).await?;
        report.add("freshness at 100,000 records/s", fresh, "p50 100 ms, p99 300 ms");
        let all = "SELECT * FROM groups_10k";
        queries(&engine, "merged query, all rows of a 10,000-group view", all, time, ["5 ms", "25 ms"], report).await?;
        let top = "SELECT * FROM groups_10k ORDER BY clicks DESC LIMIT 10";
        queries(&engine, "merged query, top 10 of 10,000 groups", top, time, ["5 ms", "25 ms"], report).await?;
        let one = "SELECT * FROM per_user WHERE user_id = 4242";
        queries(&engine, "one key of a 100,000-user view", one, time, ["", "10 ms"], report).await?;
        stop.cancel();
        report.add("  appended meanwhile", format!("{} records/s", thousands(appending.await??)), "100,000");
        anyhow::Ok(())
    })?;
    bench.stop(engine);
    Ok(())
}

async fn queries(
    engine: &Engine,
    what: &str,
    sql: &str,
    time: Duration,
    [p50, p99]: [&str; 2],
    report: &mut BenchReport,
) -> Result<()> {
    let mut took = vec![];
    let began = Instant::now();
    while began.elapsed() < time {
        let at = Instant::now();
        engine.serving()?.query(sql).await?.collect().await?;
        took.push(at.elapsed().as_secs_f64());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    took.sort_by(f64::total_cmp);
    let figure = format!("p50 {}, p99 {} ({} queries)", quantile_ms(&took, 0.5), quantile_ms(&took, 0.99), took.len());
    let target = if p50.is_empty() { format!("p99 {p99}") } else { format!("p50 {p50}, p99 {p99}") };
    report.add(what, figure, &target);
    Ok(())
}
