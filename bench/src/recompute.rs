//! Full recompute against plain DataFusion over the same files, and incremental ones, each after 1% more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::prelude::{SessionConfig, SessionContext};
use dovetail_batch_layer::RunOutcome;
use dovetail_core::catalog::RunKind;
use dovetail_server::process::engine::Engine;

use crate::BenchArgs;
use crate::input::{clicks, records};
use crate::report::{BenchReport, thousands};
use crate::run::{Bench, cpu_seconds};

/// Incremental runs: enough that one of them merges what the others left beside the states.
const INCREMENTS: u64 = 9;

pub(crate) fn measure(args: &BenchArgs, bench: &Bench, engine: &Arc<Engine>, report: &mut BenchReport) -> Result<()> {
    bench.serve.block_on(async {
        // Once each before it counts, so that both read from a warm cache.
        plain(bench, engine).await?;
        let plain = plain(bench, engine).await?;
        let full = run(engine, RunKind::Full).await?;
        let rows = (args.events * engine.views.len() as u64) as f64;
        report.add("plain DataFusion, the 3 views' SQL over the segments", rate(rows, plain), "");
        report.add("full recompute of the 3 views", rate(rows, full), "");
        report.add("  full recompute / plain DataFusion", format!("{:.2}", plain / full), "at least 0.8");
        let mut seconds = vec![];
        for more in 1..=INCREMENTS {
            append_one_percent(args, more, engine).await?;
            seconds.push(run(engine, RunKind::Incremental).await?);
        }
        let most = seconds.iter().copied().fold(0.0, f64::max);
        seconds.sort_by(f64::total_cmp);
        let median = seconds[seconds.len() / 2];
        let figure = |seconds: f64| format!("{:.0} ms, {:.1} % of the full one", seconds * 1e3, seconds / full * 100.0);
        report.add("incremental recompute after 1% more, median of 9", figure(median), "at most 5 %");
        report.add("  the slowest of them, which merges the deltas", figure(most), "");
        Ok(())
    })
}

fn rate(rows: f64, seconds: f64) -> String {
    format!("{} rows/s ({seconds:.1} s)", thousands(rows / seconds))
}

async fn plain(bench: &Bench, engine: &Engine) -> Result<f64> {
    let config = SessionConfig::new().with_target_partitions(bench.config.cores());
    let context = SessionContext::new_with_config(config);
    let store = bench.folder().join("store");
    let segments = engine.catalog.segments("clicks").await?;
    let urls = segments.iter().map(|s| ListingTableUrl::parse(store.join(&s.path).display().to_string()));
    let urls = urls.collect::<Result<Vec<_>, _>>()?;
    let options = ListingOptions::new(Arc::new(ParquetFormat::default())).with_file_extension(".parquet");
    let config = ListingTableConfig::new_with_multi_paths(urls)
        .with_listing_options(options)
        .infer_schema(&context.state())
        .await?;
    context.register_table("clicks", Arc::new(ListingTable::try_new(config)?))?;
    let began = Instant::now();
    for view in &engine.views {
        context.sql(&view.sql).await?.collect().await?;
    }
    Ok(began.elapsed().as_secs_f64())
}

async fn run(engine: &Engine, kind: RunKind) -> Result<f64> {
    let began = Instant::now();
    match engine.batch()?.recompute(kind, None).await? {
        RunOutcome::Published(_) => Ok(began.elapsed().as_secs_f64()),
        RunOutcome::NothingNew => bail!("the run found nothing new"),
    }
}

async fn append_one_percent(args: &BenchArgs, more: u64, engine: &Engine) -> Result<()> {
    settle().await?;
    let events = args.events / 100;
    let mut generator = clicks(events, 2 + more);
    for partition in 0..4 {
        let part = records(&mut generator, (events / 4) as usize);
        engine.log.append("clicks", partition, part, None).await?;
    }
    let end = args.events + more * (events / 4 * 4);
    while engine.catalog.next_offsets("clicks").await?.total() < end as i64 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Waits until the process is done with what the run before has left it: trimming the log, retiring slices.
async fn settle() -> Result<()> {
    for _ in 0..60 {
        let cpu = cpu_seconds();
        tokio::time::sleep(Duration::from_millis(500)).await;
        if cpu_seconds() - cpu < 0.05 {
            return Ok(());
        }
    }
    bail!("the process is still busy after 30 s")
}
