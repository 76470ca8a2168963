//! Where the processor time of taking records in goes: the parts of it, each run by itself.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use dovetail_core::clock;
use dovetail_core::view::Folder;
use dovetail_ingestion::formats::Decoder;
use dovetail_ingestion::log::Log;
use dovetail_ingestion::log::embedded::{EmbeddedLog, EmbeddedLogConfig};

use super::bag::Bag;
use super::workload::Workload;

/// Bytes of one read, and of the log's buffers.
const READ_BYTES: usize = 4 << 20;
const BUFFER_BYTES: usize = 64 << 20;
/// Records that are looked at, at most: they are all in memory.
const RECORDS_MAX: i64 = 500_000;

/// Seconds of one thread for a million records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    fetch: f64,
    decode: f64,
    fold: f64,
}

impl Parts {
    /// Reads the log in `folder`, decodes what was read, and folds what was decoded into all views.
    pub(super) async fn measure(folder: &Path, workload: &Workload) -> Result<Self> {
        let config = EmbeddedLogConfig { queue_bytes: BUFFER_BYTES, tail_bytes: BUFFER_BYTES };
        let log = EmbeddedLog::open(&folder.join("data").join("log"), &config)?;
        let topic = &workload.stream.topic;
        let began = clock::now_monotonic();
        let (mut fetched, mut records) = (vec![], 0);
        for partition in 0..log.partitions(topic).await?.cast_signed() {
            let bounds = log.bounds(topic, partition).await?;
            let mut at = bounds.start;
            while at < bounds.end && records < RECORDS_MAX {
                let read = log.read(topic, partition, at, READ_BYTES).await?;
                if read.range.end <= at {
                    bail!("the log of `{topic}` partition {partition} ends at {at}, before {}", bounds.end);
                }
                records += read.range.end - at;
                at = read.range.end;
                fetched.push((partition, read));
            }
        }
        let fetch = began.elapsed().as_secs_f64();
        let mut decoder = Decoder::new(Arc::clone(&workload.stream))?;
        let began = clock::now_monotonic();
        let mut decoded = vec![];
        for (partition, read) in &fetched {
            decoded.push(decoder.decode(*partition, read)?);
        }
        let decode = began.elapsed().as_secs_f64();
        let began = clock::now_monotonic();
        for view in &workload.views {
            let mut folder = Folder::new(view)?;
            for part in &decoded {
                folder.fold(&part.rows).await?;
            }
        }
        let fold = began.elapsed().as_secs_f64();
        let millions = records as f64 / 1e6;
        Ok(Self { fetch: fetch / millions, decode: decode / millions, fold: fold / millions })
    }

    /// Adds the shares of a process that used `cpu` processor seconds for a million records.
    pub(super) fn add(self, cpu: f64, bag: &mut Bag) {
        if self.fetch + self.decode + self.fold > cpu {
            let why = "the parts took longer by themselves than the whole process; something else was busy meanwhile";
            bag.failed("fast.shares", why.to_owned());
            return;
        }
        bag.add("fast.shares.fetch", self.fetch / cpu);
        bag.add("fast.shares.decode", self.decode / cpu);
        bag.add("fast.shares.fold", self.fold / cpu);
    }
}
