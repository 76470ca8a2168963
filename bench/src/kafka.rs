//! The log in Kafka: what a bare consumer can do, what the log's reads do, one layer alone, both layers.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use arrow::array::TimestampMillisecondArray;
use dovetail_cli::backends::Backends;
use dovetail_cli::engine::{Engine, Surroundings};
use dovetail_cli::membership::Addresses;
use dovetail_cli::plan::Plan;
use dovetail_cli::roles::Roles;
use dovetail_core::catalog::MemberLayer;
use dovetail_core::clock::Clock;
use dovetail_core::record::Records;
use dovetail_ingestion::log::Log;
use dovetail_ingestion::log::kafka::KafkaLog;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::Args;
use crate::input::{clicks, records};
use crate::report::{Report, thousands};
use crate::run::{Bench, cpu_seconds, folded};

const PARTITIONS: i32 = 4;
const BATCH: usize = 10_000;
/// Payload bytes of one read.
const READ: usize = 4 << 20;

pub(crate) fn measure(args: &Args, report: &mut Report) -> Result<()> {
    let Ok(brokers) = std::env::var("KAFKA_BROKERS") else {
        report.add("Kafka", "left out: KAFKA_BROKERS is not set (`eval \"$(dev/kafka up)\"`)".to_owned(), "");
        return Ok(());
    };
    let topic = format!("bench_{:08x}", std::process::id());
    let events = args.kafka_events / (4 * BATCH as u64) * (4 * BATCH as u64);
    let mut bench = Bench::new(args, "kafka")?;
    bench.config.kafka.brokers = Some(brokers.clone());
    let rate = |seconds: f64| format!("{} records/s over {seconds:.1} s", thousands(events as f64 / seconds));

    let log = bench.config.kafka()?.map(KafkaLog::open).transpose()?;
    let log: Arc<KafkaLog> = Arc::new(log.ok_or_else(|| anyhow!("no brokers"))?);
    let filling = bench.serve.block_on(fill(log.as_ref(), &topic, events))?;
    report.add("append to Kafka, idempotent, acks=all, generation included", rate(filling), "");
    report.add("bare consumer that only counts (the ceiling)", rate(bare(&brokers, &topic, events)?), "");
    let (read, cpu) = timed_cpu(|| bench.serve.block_on(read_all(&log, &topic)))?;
    report.add("  the log's reads, four partitions at once", rate(read), "");
    report.add("  processors busy meanwhile", format!("{:.2}", cpu / read), "");
    log.close();

    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("clicks.sql"))?;
    let pipeline = bench.folder().join("clicks.sql");
    std::fs::create_dir_all(bench.folder())?;
    std::fs::write(&pipeline, text.replace("kafka://clicks", &format!("kafka://{topic}")))?;
    let (speed, cpu) = timed_cpu(|| layers(&bench, &pipeline, Roles::One(MemberLayer::Speed), &topic, events))?;
    report.add("Kafka -> speed layer alone", rate(speed), "700,000");
    report.add("  processors busy", format!("{:.2}", cpu / speed), "");
    let (batch, cpu) = timed_cpu(|| layers(&bench, &pipeline, Roles::One(MemberLayer::Batch), &topic, events))?;
    report.add("Kafka -> landing alone", rate(batch), "");
    report.add("  processors busy", format!("{:.2}", cpu / batch), "");
    std::fs::remove_dir_all(bench.folder())?;
    std::fs::create_dir_all(bench.folder())?;
    std::fs::write(&pipeline, text.replace("kafka://clicks", &format!("kafka://{topic}")))?;
    let (both, cpu) = timed_cpu(|| layers(&bench, &pipeline, Roles::All, &topic, events))?;
    report.add("Kafka -> both layers in one process, decoded once", rate(both), "500,000");
    report.add("  processors busy", format!("{:.2}", cpu / both), "");
    Ok(())
}

fn timed_cpu(work: impl FnOnce() -> Result<f64>) -> Result<(f64, f64)> {
    let cpu = cpu_seconds();
    Ok((work()?, cpu_seconds() - cpu))
}

async fn fill(log: &KafkaLog, topic: &str, events: u64) -> Result<f64> {
    log.create_topic(topic, PARTITIONS as u32).await?;
    let mut generator = clicks(events, 1);
    let began = Instant::now();
    for _ in 0..events / (4 * BATCH as u64) {
        let round: Vec<_> = (0..PARTITIONS).map(|p| (p, now(records(&mut generator, BATCH)))).collect();
        let appends = round.into_iter().map(|(p, records)| log.append(topic, p, records, None));
        futures::future::try_join_all(appends).await?;
    }
    Ok(began.elapsed().as_secs_f64())
}

fn now(records: Records) -> Records {
    let n = records.len();
    Records { timestamps: TimestampMillisecondArray::from_value(Clock::System.now_ms(), n), ..records }
}

/// What librdkafka gives to who does nothing with it.
fn bare(brokers: &str, topic: &str, events: u64) -> Result<f64> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", brokers).set("group.id", "bench").create()?;
    let mut from = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        from.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    let began = Instant::now();
    consumer.assign(&from)?;
    let mut seen = 0;
    while seen < events {
        match consumer.poll(Duration::from_secs(10)) {
            Some(message) => {
                message?;
                seen += 1;
            }
            None => bail!("the bare consumer got {seen} records and no more"),
        }
    }
    Ok(began.elapsed().as_secs_f64())
}

async fn read_all(log: &Arc<KafkaLog>, topic: &str) -> Result<f64> {
    let began = Instant::now();
    let reads = (0..PARTITIONS).map(|partition| async move {
        let end = log.bounds(topic, partition).await?.end;
        let mut at = 0;
        while at < end {
            at = log.read(topic, partition, at, READ).await?.range.end;
        }
        anyhow::Ok(())
    });
    futures::future::try_join_all(reads).await?;
    Ok(began.elapsed().as_secs_f64())
}

/// Starts the layers of `roles` and waits until they hold everything.
fn layers(bench: &Bench, pipeline: &Path, roles: Roles, topic: &str, events: u64) -> Result<f64> {
    let began = Instant::now();
    let engine = bench.serve.block_on(async {
        let plan = Plan::load(pipeline).await.map_err(|e| anyhow!("{e}"))?;
        let surroundings = Surroundings {
            backends: Backends::open(&bench.config).await?,
            roles,
            addresses: Addresses::default(),
            config: &bench.config,
            metrics: None,
            work: bench.work.handle().clone(),
        };
        anyhow::Ok(Engine::start_on(plan, surroundings).await?)
    })?;
    loop {
        let held = !roles.has(MemberLayer::Speed) || folded(&engine) as u64 >= events;
        let landed = !roles.has(MemberLayer::Batch)
            || bench.serve.block_on(engine.catalog.next_offsets(topic))?.total() as u64 >= events;
        if held && landed {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = began.elapsed().as_secs_f64();
    bench.serve.block_on(engine.stop());
    Ok(took)
}
