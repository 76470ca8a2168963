//! Full recompute against plain DataFusion over the same files, and incremental after 1% more.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail};
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl};
use datafusion::prelude::{SessionConfig, SessionContext};
use dovetail_batch_layer::Outcome;
use dovetail_cli::engine::Engine;
use dovetail_core::catalog::RunKind;

use crate::Args;
use crate::input::{clicks, records};
use crate::report::{Report, thousands};
use crate::run::Bench;

pub(crate) fn measure(args: &Args, bench: &Bench, engine: &Arc<Engine>, report: &mut Report) -> Result<()> {
    bench.serve.block_on(async {
        // Once each before it counts, so that both read from a warm cache.
        plain(bench, engine).await?;
        let plain = plain(bench, engine).await?;
        let full = run(engine, RunKind::Full).await?;
        let rows = (args.events * engine.views.len() as u64) as f64;
        report.add("plain DataFusion, the 3 views' SQL over the segments", rate(rows, plain), "");
        report.add("full recompute of the 3 views", rate(rows, full), "");
        report.add("  full recompute / plain DataFusion", format!("{:.2}", plain / full), "at least 0.8");
        append_one_percent(args, engine).await?;
        let incremental = run(engine, RunKind::Incremental).await?;
        report.add("incremental recompute after 1% more", format!("{:.0} ms", incremental * 1e3), "");
        let share = format!("{:.1} % of the full one", incremental / full * 100.0);
        report.add("  incremental / full", share, "at most 5 %");
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
        Outcome::Published(_) => Ok(began.elapsed().as_secs_f64()),
        Outcome::NothingNew => bail!("the run found nothing new"),
    }
}

async fn append_one_percent(args: &Args, engine: &Engine) -> Result<()> {
    let events = args.events / 100;
    let mut generator = clicks(events, 2);
    for partition in 0..4 {
        let part = records(&mut generator, (events / 4) as usize);
        engine.log.append("clicks", partition, part, None).await?;
    }
    let end = args.events + events / 4 * 4;
    while engine.catalog.next_offsets("clicks").await?.total() < end as i64 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Ok(())
}
