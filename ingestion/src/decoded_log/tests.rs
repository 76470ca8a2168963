//! What is kept, and how stretches are cut. Who decodes is in `tests/log/decoded_log.rs`.

use std::path::Path;

use arrow::array::{AsArray, BinaryArray, Int64Array};
use arrow::datatypes::Int64Type;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::pipeline::Pipeline;
use dovetail_core::record::{Fetched, Records, column};
use tempfile::TempDir;

use super::*;
use crate::formats::Decoder;
use crate::log::embedded::{EmbeddedLog, EmbeddedLogConfig};

struct Rig {
    _folder: TempDir,
    log: Arc<EmbeddedLog>,
    decoded_log: DecodedLog,
}

impl Rig {
    async fn new(config: DecodedLogConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = EmbeddedLogConfig { queue_bytes: 1 << 20, tail_bytes: 1 << 20 };
        let log = Arc::new(EmbeddedLog::open(&folder.path().join("log"), &settings).unwrap());
        log.create_topic("S", 1).await.unwrap();
        let decoded_log = DecodedLog::open(Arc::<EmbeddedLog>::clone(&log), stream(), config).await.unwrap();
        Self { _folder: folder, log, decoded_log }
    }

    async fn append(&self, values: &[&str]) {
        let records = Records::from_values(1, values.iter().map(|value| value.as_bytes()));
        self.log.append("S", 0, records, None).await.unwrap();
    }

    /// `n` records in appends of one.
    async fn trickle(&self, n: usize) {
        for i in 0..n {
            self.append(&[&format!("{{\"n\": {i}}}")]).await;
        }
    }

    /// Reads from `from` to the log's end; returns the batches.
    async fn read_on(&self, from: i64) -> Vec<Arc<Decoded>> {
        let mut all = vec![];
        let mut at = from;
        while at < self.log.bounds("S", 0).await.unwrap().end {
            let decoded = self.decoded_log.read(0, at).await.unwrap();
            assert_eq!(decoded.range.start, at);
            at = decoded.range.end;
            all.push(decoded);
        }
        all
    }

    fn kept(&self) -> (usize, usize) {
        self.decoded_log.partition(0).unwrap().kept()
    }
}

fn stream() -> Arc<Stream> {
    let sql = "CREATE EXTERNAL TABLE s (n BIGINT) STORED AS JSON LOCATION 'kafka://S' OPTIONS ('partitions' '1');";
    Arc::new(Pipeline::parse(sql, Path::new("p.sql")).unwrap().streams[0].clone())
}

fn config(batch_bytes: usize, cache_bytes: usize) -> DecodedLogConfig {
    DecodedLogConfig { batch_bytes, cache_bytes }
}

#[tokio::test]
async fn what_is_kept_is_bounded_also_when_records_trickle() {
    let rig = Rig::new(config(1000, 100_000)).await;
    for n in 0..300 {
        rig.trickle(1).await;
        rig.decoded_log.read(0, n).await.unwrap();
    }
    let (stretches, bytes) = rig.kept();
    assert!(stretches > 5 && stretches <= 100_000 / 4096 && bytes <= 100_000, "{stretches} stretches, {bytes} bytes");
}

#[tokio::test]
async fn a_laggard_decodes_again_and_pushes_nothing_out() {
    let rig = Rig::new(config(90, 50_000)).await;
    rig.trickle(300).await;
    let leading = rig.read_on(0).await;
    let before = rig.kept();
    let lagging = rig.read_on(0).await;
    assert_eq!(rig.kept(), before);
    let again = lagging.iter().filter(|one| !leading.iter().any(|other| Arc::ptr_eq(one, other)));
    assert_eq!(again.count(), lagging.len() - before.0, "it finds what the leader left");
    // Once it is where the leader is, either may lead.
    rig.append(&["{\"n\": 1}"]).await;
    let one = rig.decoded_log.read(0, 300).await.unwrap();
    let other = rig.decoded_log.read(0, 300).await.unwrap();
    assert!(Arc::ptr_eq(&one, &other), "it is decoded once");
}

#[tokio::test]
async fn a_batch_larger_than_the_bound_is_not_kept() {
    let rig = Rig::new(config(1 << 20, 10_000)).await;
    let long = format!("{{\"n\": 1, \"filler\": \"{:020000}\"}}", 0);
    rig.append(&[&long]).await;
    rig.decoded_log.read(0, 0).await.unwrap();
    assert_eq!(rig.kept(), (0, 0));
}

/// Offsets that skip, a bad record among them, and an end past the last one.
fn skipping() -> Arc<Decoded> {
    let values: Vec<&[u8]> = vec![b"{\"n\": 10}", b"{", b"{\"n\": 14}", b"{\"n\": 20}"];
    let n = values.len();
    let records = Records {
        values: BinaryArray::from_iter_values(values),
        ..Records::from_values(1, std::iter::repeat_n(&b""[..], n))
    };
    let offsets = Int64Array::from(vec![10, 12, 14, 20]);
    let fetched = Fetched { offsets, records, range: OffsetRange::new(8, 25) };
    Arc::new(Decoder::new(stream()).unwrap().decode(0, &fetched).unwrap())
}

#[test]
fn stretches_are_cut_between_offsets_that_skip() {
    let whole = skipping();
    for (start, end, range, offsets, dead) in [
        (8, 25, (8, 25), vec![10, 14, 20], 1),
        (0, 99, (8, 25), vec![10, 14, 20], 1),
        (8, 10, (8, 10), vec![], 0),
        (11, 13, (11, 13), vec![], 1),
        (12, 14, (12, 14), vec![], 1),
        (13, 15, (13, 15), vec![14], 0),
        (20, 25, (20, 25), vec![20], 0),
        (21, 25, (21, 25), vec![], 0),
        (25, 30, (25, 25), vec![], 0),
        (14, 11, (14, 14), vec![], 0),
    ] {
        let part = whole.between(start, end);
        assert_eq!(part.range, OffsetRange::new(range.0, range.1), "[{start}, {end})");
        let found = part.rows.column_by_name(column::OFFSET).unwrap().as_primitive::<Int64Type>();
        assert_eq!(found.values().to_vec(), offsets, "[{start}, {end})");
        assert_eq!(part.dead.len(), dead, "[{start}, {end})");
    }
    assert!(Arc::ptr_eq(&whole, &whole.between(8, 25)), "no copy of all of it");
}
