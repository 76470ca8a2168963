//! Freshness and query latency while 100,000 records a second are appended.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use dovetail_cli::engine::Engine;
use dovetail_core::catalog::RunKind;

use crate::Args;
use crate::input::{clicks, records};
use crate::report::{Report, quantile_ms, thousands};
use crate::run::Bench;

const RATE: usize = 100_000;
/// Appends a second, spread over the partitions.
const APPENDS: usize = 100;
/// Records before it begins, landed and published.
const BEFORE: u64 = 2_000_000;

pub(crate) fn measure(args: &Args, report: &mut Report) -> Result<()> {
    let bench = Bench::new(args, "latency")?;
    bench.fill(BEFORE, 3)?;
    let engine = bench.start("latency.sql")?;
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(BEFORE as i64)));
    bench.serve.block_on(async {
        while engine.catalog.next_offsets("clicks").await?.total() < BEFORE as i64 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        engine.batch()?.recompute(RunKind::Full, None).await?;
        let load = feed(Arc::clone(&engine), Arc::clone(&stop), Arc::clone(&acknowledged));
        let load = bench.work.spawn(load);
        let time = Duration::from_secs(args.seconds);
        let began = Instant::now();
        freshness(&engine, &acknowledged, time, report).await?;
        let all = "SELECT * FROM groups_10k";
        queries(&engine, "merged query, all rows of a 10,000-group view", all, time, ["5 ms", "25 ms"], report).await?;
        let top = "SELECT * FROM groups_10k ORDER BY clicks DESC LIMIT 10";
        queries(&engine, "merged query, top 10 of 10,000 groups", top, time, ["5 ms", "25 ms"], report).await?;
        let one = "SELECT * FROM per_user WHERE user_id = 4242";
        queries(&engine, "one key of a 100,000-user view", one, time, ["", "10 ms"], report).await?;
        stop.store(true, Ordering::Relaxed);
        load.await??;
        let rate = (acknowledged.load(Ordering::Relaxed) - BEFORE as i64) as f64 / began.elapsed().as_secs_f64();
        report.add("  appended meanwhile", format!("{} records/s", thousands(rate)), "100,000");
        anyhow::Ok(())
    })?;
    bench.stop(engine);
    Ok(())
}

/// Appends at the rate until stopped; counts what was acknowledged.
async fn feed(engine: Arc<Engine>, stop: Arc<AtomicBool>, acknowledged: Arc<AtomicI64>) -> Result<()> {
    let mut generator = clicks(u64::MAX, 4);
    let began = Instant::now();
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let due = Duration::from_secs_f64(turn as f64 / APPENDS as f64);
        tokio::time::sleep(due.saturating_sub(began.elapsed())).await;
        let part = records(&mut generator, RATE / APPENDS);
        let range = engine.log.append("clicks", turn % 4, part, None).await?;
        acknowledged.fetch_add(range.width(), Ordering::Relaxed);
    }
    Ok(())
}

/// From the acknowledgement of an append to the first merged answer that counts it.
async fn freshness(engine: &Engine, acknowledged: &AtomicI64, time: Duration, report: &mut Report) -> Result<()> {
    let mut seen = vec![];
    let began = Instant::now();
    while began.elapsed() < time {
        let wanted = acknowledged.load(Ordering::Relaxed);
        let at = Instant::now();
        while count(engine).await? < wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        seen.push(at.elapsed().as_secs_f64());
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
    seen.sort_by(f64::total_cmp);
    let figure = format!("p50 {}, p99 {} ({} probes)", quantile_ms(&seen, 0.5), quantile_ms(&seen, 0.99), seen.len());
    report.add("freshness at 100,000 records/s", figure, "p50 100 ms, p99 300 ms");
    Ok(())
}

async fn count(engine: &Engine) -> Result<i64> {
    let rows = engine.serving()?.query("SELECT clicks FROM total").await?.collect().await?;
    match rows.first() {
        Some(batch) => Ok(batch.column(0).as_primitive::<Int64Type>().value(0)),
        None => bail!("the total has no row"),
    }
}

async fn queries(
    engine: &Engine,
    what: &str,
    sql: &str,
    time: Duration,
    [p50, p99]: [&str; 2],
    report: &mut Report,
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
