//! Decode and fold alone, on one core: what the layers can do when nothing else is in the way.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, anyhow};
use dovetail_cli::engine::Plan;
use dovetail_core::view::Folder;
use dovetail_ingestion::decode::Decoder;

use crate::input::{clicks, fetched, records};
use crate::report::{Report, thousands};

const BATCHES: usize = 64;
const ROWS: usize = 32_768;

pub(crate) fn measure(report: &mut Report) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("clicks.sql");
        let plan = Plan::load(&path).await.map_err(|e| anyhow!("{e}"))?;
        let stream = Arc::new(plan.pipeline.streams[0].clone());
        let mut generator = clicks((BATCHES * ROWS) as u64, 1);
        let batches: Vec<_> =
            (0..BATCHES).map(|i| fetched(records(&mut generator, ROWS), (i * ROWS) as i64)).collect();
        let mut decoder = Decoder::new(stream)?;
        let began = Instant::now();
        let mut decoded = vec![];
        for batch in &batches {
            decoded.push(decoder.decode(0, batch)?);
        }
        let decode = began.elapsed();
        let rows = (BATCHES * ROWS) as f64;
        report.add("decode, one core", format!("{} records/s", thousands(rows / decode.as_secs_f64())), "");
        let mut all = decode;
        for view in plan.folded() {
            let mut folder = Folder::new(&view)?;
            let began = Instant::now();
            for batch in &decoded {
                folder.fold(&batch.rows).await?;
            }
            let fold = began.elapsed();
            all += fold;
            let rate = thousands(rows / fold.as_secs_f64());
            report.add(&format!("fold `{}`, one core", view.name), format!("{rate} records/s"), "");
            drop(folder.take_state()?);
        }
        let rate = thousands(rows / all.as_secs_f64());
        report.add("decode + fold of 3 views, one core", format!("{rate} records/s"), "1,500,000");
        Ok(())
    })
}
