//! The log in Kafka: what a bare consumer can do, what the log's reads do, one layer alone, both layers.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use dovetail_core::catalog::MemberLayer;
use dovetail_core::pipeline::Pipeline;
use dovetail_ingestion::decoded_log::DecodedLog;
use dovetail_ingestion::log::Log;
use dovetail_ingestion::log::kafka::KafkaLog;
use dovetail_server::process::backends::Backends;
use dovetail_server::process::engine::{Engine, Surroundings};
use dovetail_server::process::membership::Addresses;
use dovetail_server::process::plan::Plan;
use dovetail_server::process::roles::Roles;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;

use crate::BenchArgs;
use crate::freshness::{Load, Since};
use crate::input::{clicks, now, records};
use crate::report::{BenchReport, thousands};
use crate::run::{Bench, cpu_seconds, folded};

const PARTITIONS: i32 = 4;
const BATCH: usize = 10_000;
/// Payload bytes of one read.
const READ: usize = 4 << 20;
/// How long the bare consumer waits for a record.
const POLL_TIMEOUT: Duration = Duration::from_secs(10);
/// Records a second while freshness is measured.
const FRESH_RATE: usize = 50_000;

pub(crate) fn measure(args: &BenchArgs, report: &mut BenchReport) -> Result<()> {
    let Ok(brokers) = std::env::var("KAFKA_BROKERS") else {
        report.add("Kafka", "left out: KAFKA_BROKERS is not set (`eval \"$(dev/kafka up)\"`)".to_owned(), "");
        return Ok(());
    };
    let topic = format!("bench_{:08x}", std::process::id());
    let events = args.kafka_events / (4 * BATCH as u64) * (4 * BATCH as u64);
    let mut bench = Bench::new(args, "kafka")?;
    bench.config.kafka.brokers = Some(brokers.clone());
    let rate = |seconds: f64| format!("{} records/s over {seconds:.1} s", thousands(events as f64 / seconds));

    let kafka = bench.config.kafka()?.ok_or_else(|| anyhow!("no brokers"))?;
    let log = Arc::new(KafkaLog::open(kafka.clone())?);
    let filling = bench.serve.block_on(fill(log.as_ref(), &topic, events))?;
    report.add("append to Kafka, idempotent, acks=all, generation included", rate(filling), "");
    let mut defaults = ClientConfig::new();
    defaults.set("bootstrap.servers", &brokers);
    for (settings, config) in
        [("the log's settings: the ceiling", kafka.consumer()), ("librdkafka's defaults", defaults)]
    {
        let bare = timed(|| bare(config, &topic, events))?;
        report.add(&format!("bare consumer that only counts, with {settings}"), bare.rate(events), "");
    }
    let log: Arc<dyn Log> = log;
    let fetch = timed(|| bench.serve.block_on(read_all(&log, &topic)))?;
    report.add("  the log's reads, four partitions at once", fetch.rate(events), "");

    let pipeline = bench.pipeline("clicks.sql", &topic)?;
    let decode = timed(|| bench.serve.block_on(decode_all(&bench, &log, &pipeline)))?;
    report.add("  the same, decoded", decode.rate(events), "");
    let speed = timed(|| layers(&bench, &pipeline, Roles::One(MemberLayer::Speed), &topic, events))?;
    report.add("Kafka -> speed layer alone", speed.rate(events), "700,000");
    let batch = timed(|| layers(&bench, &pipeline, Roles::One(MemberLayer::Batch), &topic, events))?;
    report.add("Kafka -> landing alone", batch.rate(events), "");
    std::fs::remove_dir_all(bench.folder())?;
    let pipeline = bench.pipeline("clicks.sql", &topic)?;
    let both = timed(|| layers(&bench, &pipeline, Roles::All, &topic, events))?;
    report.add("Kafka -> both layers in one process, decoded once", both.rate(events), "500,000");
    // What one stage takes is what a run with it takes more than one without.
    let [fold, land] = [&speed, &batch].map(|layer| layer.cpu - decode.cpu);
    let share = |cpu: f64| format!("{:.0} %", 100.0 * cpu / (decode.cpu + fold + land));
    let shares = [fetch.cpu, decode.cpu - fetch.cpu, fold, land].map(share);
    report.add("  processor time: fetch, decode, fold, land", shares.join(", "), "");
    let apart = (speed.cpu + batch.cpu) / both.cpu;
    report.add("  processor time of two processes, in that of one", format!("{apart:.2}"), "");
    std::fs::remove_dir_all(bench.folder())?;
    let fresh = bench.serve.block_on(freshness(&bench, args, &format!("{topic}_fresh")))?;
    report.add("freshness at 50,000 records/s, from producing on", fresh, "p50 50 ms, p99 250 ms");
    Ok(())
}

/// Seconds that something took: by the clock, and of the processors.
struct Timed {
    seconds: f64,
    cpu: f64,
}

impl Timed {
    fn rate(&self, events: u64) -> String {
        let Self { seconds, cpu } = self;
        let rate = thousands(events as f64 / seconds);
        format!("{rate} records/s over {seconds:.1} s, {:.2} processors busy", cpu / seconds)
    }
}

fn timed(work: impl FnOnce() -> Result<f64>) -> Result<Timed> {
    let cpu = cpu_seconds();
    Ok(Timed { seconds: work()?, cpu: cpu_seconds() - cpu })
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

/// What librdkafka gives to who does nothing with it.
fn bare(mut config: ClientConfig, topic: &str, events: u64) -> Result<f64> {
    let consumer: BaseConsumer = config.set("group.id", "bench").create()?;
    let mut from = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        from.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    let began = Instant::now();
    consumer.assign(&from)?;
    let (mut seen, mut last) = (0, began);
    while seen < events {
        // Now and then it returns early with nothing.
        match consumer.poll(POLL_TIMEOUT) {
            Some(message) => {
                message?;
                (seen, last) = (seen + 1, Instant::now());
            }
            None if last.elapsed() < POLL_TIMEOUT => {}
            None => bail!("the bare consumer got {seen} records and no more"),
        }
    }
    Ok(began.elapsed().as_secs_f64())
}

async fn read_all(log: &Arc<dyn Log>, topic: &str) -> Result<f64> {
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

async fn decode_all(bench: &Bench, log: &Arc<dyn Log>, pipeline: &Path) -> Result<f64> {
    let pipeline = Pipeline::load(pipeline).map_err(|e| anyhow!("{e}"))?;
    let stream = pipeline.streams.into_iter().next().ok_or_else(|| anyhow!("no stream"))?;
    let decoded_log = DecodedLog::open(Arc::clone(log), Arc::new(stream), bench.config.decoded_log()).await?;
    let began = Instant::now();
    let reads = (0..PARTITIONS).map(|partition| {
        let decoded_log = &decoded_log;
        async move {
            let end = decoded_log.log().bounds(&decoded_log.stream().topic, partition).await?.end;
            let mut at = 0;
            while at < end {
                at = decoded_log.read(partition, at).await?.range.end;
            }
            anyhow::Ok(())
        }
    });
    futures::future::try_join_all(reads).await?;
    Ok(began.elapsed().as_secs_f64())
}

/// Produces to a topic of its own while all layers run.
async fn freshness(bench: &Bench, args: &BenchArgs, topic: &str) -> Result<String> {
    let engine = Arc::new(start(bench, &bench.pipeline("latency.sql", topic)?, Roles::All).await?);
    let (load, stop) = (Load::new(topic, FRESH_RATE, 0, Since::Produced), CancellationToken::new());
    let producing = bench.work.spawn(Arc::clone(&load).run(Arc::clone(&engine), stop.clone()));
    let fresh = load.freshness(&engine, Duration::from_secs(args.seconds)).await?;
    stop.cancel();
    let rate = producing.await??;
    engine.stop().await;
    Ok(format!("{fresh}, {} records/s", thousands(rate)))
}

async fn start(bench: &Bench, pipeline: &Path, roles: Roles) -> Result<Engine> {
    let plan = Plan::load(pipeline).await.map_err(|e| anyhow!("{e}"))?;
    let surroundings = Surroundings {
        backends: Backends::open(&bench.config).await?,
        roles,
        addresses: Addresses::default(),
        config: &bench.config,
        metrics: None,
        work: bench.work.handle().clone(),
    };
    Engine::start_on(&plan, surroundings).await
}

/// Starts the layers of `roles` and waits until they hold everything.
fn layers(bench: &Bench, pipeline: &Path, roles: Roles, topic: &str, events: u64) -> Result<f64> {
    let began = Instant::now();
    let engine = bench.serve.block_on(start(bench, pipeline, roles))?;
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
