//! Decode and fold alone, on one core: what the layers can do when nothing else is in the way.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use dovetail_core::view::Folder;
use dovetail_ingestion::formats::Decoder;
use dovetail_server::process::plan::Plan;

use crate::input::{clicks, fetched, records};
use crate::report::{BenchReport, thousands};

const BATCHES: usize = 64;
const ROWS: usize = 32_768;

pub(crate) fn measure(report: &mut BenchReport) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("clicks.sql");
        let plan = Plan::load(&path).await.map_err(|e| anyhow!("{e}"))?;
        let stream = Arc::new(plan.pipeline.streams[0].clone());
        let mut generator = clicks((BATCHES * ROWS) as u64, 1);
        let batches: Vec<_> = (0..BATCHES).map(|i| fetched(records(&mut generator, ROWS), (i * ROWS) as i64)).collect();
        let mut decoder = Decoder::new(stream)?;
        let mut folders = plan.folded().iter().map(Folder::new).collect::<Result<Vec<_>, _>>()?;
        let mut decode = Duration::ZERO;
        let mut folds = vec![Duration::ZERO; folders.len()];
        for batch in &batches {
            let began = Instant::now();
            let decoded = decoder.decode(0, batch)?;
            decode += began.elapsed();
            for (folder, took) in folders.iter_mut().zip(&mut folds) {
                let began = Instant::now();
                folder.fold(&decoded.rows).await?;
                *took += began.elapsed();
            }
        }
        let rows = (BATCHES * ROWS) as f64;
        report.add("decode, one core", format!("{} records/s", thousands(rows / decode.as_secs_f64())), "");
        for (view, took) in plan.folded().iter().zip(&folds) {
            let rate = thousands(rows / took.as_secs_f64());
            report.add(&format!("fold `{}`, one core", view.name), format!("{rate} records/s"), "");
        }
        let all = decode + folds.iter().sum();
        let rate = thousands(rows / all.as_secs_f64());
        report.add("decode + fold of 3 views, one core", format!("{rate} records/s"), "1,500,000");
        Ok(())
    })
}
