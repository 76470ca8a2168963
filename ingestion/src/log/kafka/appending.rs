//! Appending: hands records to the producer, and waits until the brokers have them.
//!
//! With idempotence, which is the default, the part of an append that is in the log is always its first records: none
//! is repeated, and none is missing before another.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::Array;
use dovetail_core::clock;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::Records;
use metrics::{counter, gauge};
use rdkafka::error::KafkaError;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::time::{Instant, timeout};

use super::blocking;
use super::clients::Clients;
use super::delivery::Delivery;
use super::headers;
use super::partition::KafkaPartition;
use super::reading;
use super::sender::Sender;
use crate::log::{LogError, SourceMark};

/// Greatest number of bytes of a record in a batch of Kafka's besides its content.
const RECORD_BYTES: usize = 100;
/// Number of records after which other tasks run.
const TURN: usize = 1024;
/// Interval of retries while the producer is full.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(2);

/// [`Log::append`](crate::log::Log::append) for records without a mark.
pub(super) async fn append(
    clients: &Arc<Clients>,
    partition: &Arc<KafkaPartition>,
    records: &Records,
) -> Result<OffsetRange, LogError> {
    clients.reported.identities.check(&partition.topic)?;
    check_sizes(clients, partition, records)?;
    if records.is_empty() {
        let end = reading::bounds(clients, partition).await?.end;
        return Ok(OffsetRange::new(end, end));
    }
    let until = clock::now_monotonic() + clients.patience();
    let delivery = send(clients, partition, records, until).await?;
    settled(clients, &delivery, until).await?;
    let failed = |code| clients.failures.of_code("appending", &partition.topic, code, &clients.reported);
    let outcome = delivery.outcome().map_err(failed)?;
    // Not worth a wait while a search runs through the partition.
    if let Ok(mut sources) = partition.sources.try_lock() {
        sources.appended(outcome, records.len());
    }
    count_appended(&partition.topic, records);
    Ok(outcome)
}

pub(super) fn count_appended(topic: &str, records: &Records) {
    counter!("dovetail_log_append_records_total", "topic" => topic.to_owned()).increment(records.len() as u64);
    counter!("dovetail_log_append_bytes_total", "topic" => topic.to_owned()).increment(records.payload_bytes() as u64);
}

async fn send(
    clients: &Arc<Clients>,
    partition: &KafkaPartition,
    records: &Records,
    until: Instant,
) -> Result<Arc<Delivery>, LogError> {
    let sender = sender(clients, partition)?;
    let delivery = Arc::new(Delivery::of(records.len(), sender.gone()));
    enqueue(clients, &sender, partition, records, None, &delivery, until).await?;
    Ok(delivery)
}

fn sender(clients: &Clients, partition: &KafkaPartition) -> Result<Arc<Sender>, LogError> {
    clients.sender().map_err(|error| clients.failed("appending", &partition.topic, &error))
}

/// Hands `records` to the producer, in their order and together.
pub(super) async fn enqueue(
    clients: &Arc<Clients>,
    sender: &Arc<Sender>,
    partition: &KafkaPartition,
    records: &Records,
    mark: Option<&SourceMark>,
    delivery: &Arc<Delivery>,
    until: Instant,
) -> Result<(), LogError> {
    let mut rest = Unsent { delivery, records: records.len() };
    let _together = partition.sending.lock().await;
    let behind = mark.map(|mark| headers::behind_number(&mark.source, &mark.spread));
    for i in 0..records.len() {
        let number = mark.and_then(|mark| Some((behind.as_deref()?, *mark.numbers.get(i)?)));
        while let Err(error) = send_one(sender, partition, records, i, number, delivery) {
            match error.rdkafka_error_code() {
                Some(Code::QueueFull) if clock::now_monotonic() < until => clock::sleep(QUEUE_FULL_PAUSE).await,
                // The partition is new, and the producer has not heard of it.
                Some(Code::UnknownPartition) if clock::now_monotonic() < until => {
                    learn(clients, sender, &partition.topic).await?;
                    clients.reported.identities.check(&partition.topic)?;
                    clock::sleep(QUEUE_FULL_PAUSE).await;
                }
                code => {
                    rest.because(code.unwrap_or(Code::Fail));
                    return Err(clients.failed("appending", &partition.topic, &error));
                }
            }
        }
        rest.records -= 1;
        if i % TURN == TURN - 1 {
            tokio::task::yield_now().await;
        }
    }
    gauge!("dovetail_log_queue_records").set(f64::from(sender.in_flight_count()));
    Ok(())
}

/// Makes the producer refresh its metadata of the topic.
async fn learn(clients: &Arc<Clients>, sender: &Arc<Sender>, topic: &Arc<str>) -> Result<(), LogError> {
    let (clients, sender, topic) = (Arc::clone(clients), Arc::clone(sender), Arc::clone(topic));
    blocking(move || {
        let looked = sender.client().fetch_metadata(Some(&topic), clients.patience());
        looked.map(drop).map_err(|error| clients.failed("appending", &topic, &error))
    })
    .await
}

/// Records that the producer did not get, also when the append is dropped halfway.
struct Unsent<'d> {
    delivery: &'d Delivery,
    records: usize,
}

impl Unsent<'_> {
    fn because(&mut self, code: Code) {
        if self.records > 0 {
            self.delivery.not_sent(std::mem::take(&mut self.records), code);
        }
    }
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        self.because(Code::PurgeQueue);
    }
}

fn send_one(
    sender: &Sender,
    partition: &KafkaPartition,
    records: &Records,
    i: usize,
    number: Option<(&str, u64)>,
    delivery: &Arc<Delivery>,
) -> Result<(), KafkaError> {
    let mut record: BaseRecord<'_, [u8], [u8], Arc<Delivery>> =
        BaseRecord::with_opaque_to(&partition.topic, Arc::clone(delivery)).partition(partition.number);
    if records.keys.is_valid(i) {
        record = record.key(records.keys.value(i));
    }
    if records.values.is_valid(i) {
        record = record.payload(records.values.value(i));
    }
    let timestamp_ms = records.timestamps.value(i);
    record.headers = headers_of(records, i, timestamp_ms, number);
    record = record.timestamp(timestamp_ms.max(1));
    sender.send(record).map_err(|(error, _)| error)
}

fn headers_of(records: &Records, i: usize, timestamp_ms: i64, number: Option<(&str, u64)>) -> Option<OwnedHeaders> {
    let json = records.headers.is_valid(i).then(|| records.headers.value(i));
    if json.is_none() && number.is_none() && timestamp_ms > 0 {
        return None;
    }
    let mut to = OwnedHeaders::new_with_capacity(2);
    if let Some((behind, number)) = number {
        to = headers::put(to, headers::SOURCE, Some(format!("{number}{behind}").as_bytes()));
    }
    if timestamp_ms <= 0 {
        to = headers::put(to, headers::TIMESTAMP, Some(timestamp_ms.to_string().as_bytes()));
    }
    Some(json.into_iter().fold(to, headers::add))
}

/// Refuses records that the producer would refuse in the middle of an append.
pub(super) fn check_sizes(clients: &Clients, partition: &KafkaPartition, records: &Records) -> Result<(), LogError> {
    let most = clients.config.most_bytes().saturating_sub(RECORD_BYTES);
    let lengths = |i: usize| {
        let key = records.keys.value_length(i) as usize;
        key + records.values.value_length(i) as usize + records.headers.value_length(i) as usize
    };
    match (0..records.len()).map(lengths).find(|bytes| *bytes > most) {
        Some(bytes) => {
            let (topic, partition) = (partition.topic.to_string(), partition.number);
            Err(LogError::RecordTooLarge { topic, partition, bytes, most })
        }
        None => Ok(()),
    }
}

async fn settled(clients: &Clients, delivery: &Delivery, until: Instant) -> Result<(), LogError> {
    let left = until.saturating_duration_since(clock::now_monotonic());
    timeout(left, delivery.settled()).await.map_err(|_| {
        let why = format!("records were not acknowledged within {:?}", clients.patience());
        clients.failures.unreachable(&why, &clients.reported)
    })
}
