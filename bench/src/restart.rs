//! From starting the process's layers to the first correct answer, with records above the cut to fold again.

use std::time::{Duration, Instant};

use anyhow::Result;
use arrow::array::AsArray;
use arrow::datatypes::Int64Type;

use crate::BenchArgs;
use crate::report::{BenchReport, thousands};
use crate::run::Bench;

pub(crate) fn measure(args: &BenchArgs, report: &mut BenchReport) -> Result<()> {
    let bench = Bench::new(args, "restart")?;
    bench.fill(args.tail, 5)?;
    let began = Instant::now();
    let engine = bench.start("clicks.sql")?;
    bench.serve.block_on(async {
        loop {
            let answer = engine.serving()?.query("SELECT sum(clicks) FROM per_minute").await;
            if let Ok(answer) = answer {
                let rows = answer.collect().await?;
                let counted = rows.first().map(|b| b.column(0).as_primitive::<Int64Type>().value(0));
                if counted == Some(args.tail.cast_signed()) {
                    return anyhow::Ok(());
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let what = format!("restart to first correct answer, {} records above the cut", thousands(args.tail as f64));
    report.add(&what, format!("{seconds:.1} s"), "reported");
    bench.stop(engine);
    Ok(())
}
