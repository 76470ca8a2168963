//! Requests of sources as transactions: each is one transaction over its partitions, so it is in the log as a whole or
//! not at all, whatever becomes of the process.

use std::sync::Arc;
use std::time::Duration;

use dovetail_core::clock;
use dovetail_core::offsets::OffsetRange;
use dovetail_core::record::Records;
use futures::future::try_join_all;
use metrics::counter;
use rdkafka::error::KafkaError;
use rdkafka::producer::Producer;
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::time::{Instant, timeout};

use super::appending::{check_sizes, count_appended, enqueue};
use super::blocking;
use super::clients::Clients;
use super::delivery::Delivery;
use super::partition::KafkaPartition;
use super::reading;
use super::sender::Sender;
use super::source_producers;
use crate::log::kafka::producer_pool::{InitialisedProducer, ProducerHold};
use crate::log::{LogError, PartitionPosition, SourceMark};

/// Time for which a request waits before it is planned again: another process may want the same source.
const REPLAN_PAUSE_MAX: Duration = Duration::from_millis(200);
/// Time for which the brokers are asked to abort a refused transaction, before that is left to its time limit.
const ABORT_TIMEOUT: Duration = Duration::from_secs(2);

/// Time limit until a committed record can be read: behind an open transaction it takes longer.
const READABLE_TIMEOUT: Duration = Duration::from_secs(1);
const READABLE_POLL_INTERVAL: Duration = Duration::from_millis(2);
/// Time given to a producer between reporting a record and forgetting it.
const IN_FLIGHT_POLL_INTERVAL: Duration = Duration::from_micros(200);

/// Records of a request for one partition.
pub(super) struct RequestPart {
    pub(super) partition: Arc<KafkaPartition>,
    pub(super) records: Records,
    pub(super) mark: SourceMark,
}

/// Returns the offsets of each part's records; an empty range at the partition's end where all of them were in the log.
/// None when the source's producer is no longer that of `hold`, or has failed: then nothing is known any more.
///
/// A request in progress runs to its end also without a waiter: the next request of the source waits for it.
///
/// # On a crash
/// The transaction is open. Readers wait in front of it until the next process that takes the source over ends it, or
/// until the brokers do after `transaction.timeout.ms`. Nothing of it is read unless its commit had arrived.
pub(super) async fn append(
    clients: &Arc<Clients>,
    source: &str,
    parts: Vec<RequestPart>,
    hold: u64,
) -> Result<Option<Vec<OffsetRange>>, LogError> {
    for part in &parts {
        clients.reported.identities.check(&part.partition.topic)?;
        check_sizes(clients, &part.partition, &part.records)?;
    }
    let Some(first) = parts.first() else { return Ok(Some(vec![])) };
    let (topic, until) = (Arc::clone(&first.partition.topic), clock::now_monotonic() + clients.patience());
    let held = source_producers::hold(clients, &topic, source, until).await?;
    let request =
        TransactionRequest { clients: Arc::clone(clients), topic, source: source.to_owned(), parts, hold, until };
    clients.requests.spawn(request.run(held)).await.map_err(|error| LogError::Store(error.into()))?
}

struct TransactionRequest {
    clients: Arc<Clients>,
    topic: Arc<str>,
    source: String,
    parts: Vec<RequestPart>,
    hold: u64,
    until: Instant,
}

impl TransactionRequest {
    async fn run(self, mut hold: ProducerHold) -> Result<Option<Vec<OffsetRange>>, LogError> {
        let error = match self.attempt(&mut hold).await {
            Err(error @ (LogError::Unreachable { .. } | LogError::Undecided { .. })) => error,
            done => return done,
        };
        // Another producer may succeed, based on the content of the log then.
        hold.give_up();
        counter!("dovetail_kafka_producers_replaced_total").increment(1);
        let Self { topic, source, .. } = &self;
        tracing::warn!(%topic, source, %error, "a transaction failed; its producer is replaced");
        if clock::now_monotonic() >= self.until {
            return Err(error);
        }
        let pause = clock::random_pause(REPLAN_PAUSE_MAX / 4..=REPLAN_PAUSE_MAX);
        clock::sleep(pause).await;
        Ok(None)
    }

    async fn attempt(&self, hold: &mut ProducerHold) -> Result<Option<Vec<OffsetRange>>, LogError> {
        let Self { clients, topic, source, parts, until, .. } = self;
        let held = hold.held(clients, topic, *until).await?;
        if held.number() != self.hold {
            return Ok(None);
        }
        let news = self.news(held).await?;
        let sender = held.sender().filter(|_| news.contains(&true)).cloned();
        let deliveries = match sender {
            None => vec![None; parts.len()],
            Some(sender) => match self.transact(&sender, &news).await {
                Ok(deliveries) => deliveries,
                Err(error) => {
                    if !matches!(error, LogError::Unreachable { .. }) {
                        // Readers wait in front of an open transaction.
                        let aborted = blocking(move || Ok(sender.abort_transaction(ABORT_TIMEOUT))).await;
                        tracing::debug!(?aborted, "aborted");
                        hold.give_up();
                    }
                    return Err(error);
                }
            },
        };
        let mut ranges = Vec::with_capacity(parts.len());
        for (RequestPart { partition, records, mark }, delivery) in parts.iter().zip(deliveries) {
            let Some(delivery) = delivery else {
                let end = reading::bounds(clients, partition).await?.end;
                ranges.push(OffsetRange::new(end, end));
                continue;
            };
            let range = delivery.outcome().map_err(|code| self.failed(code))?;
            if let Some((_, last)) = mark.span() {
                let position = PartitionPosition { last, spread: mark.spread.clone() };
                held.committed(partition, source, position, range, records.len()).await;
            }
            count_appended(topic, records);
            ranges.push(range);
        }
        let readable = parts.iter().zip(&ranges).map(|(part, range)| readable(clients, &part.partition, range.end));
        // The records are in the log, whether the brokers report it in time or not.
        if timeout(READABLE_TIMEOUT, try_join_all(readable)).await.is_err() {
            tracing::debug!(%topic, source, "what was committed is behind a transaction that is open");
        }
        Ok(Some(ranges))
    }

    /// Tells for each part whether it is not yet in the log. A part that is there in part is
    /// [`LogError::SourceOverlap`].
    async fn news(&self, held: &mut InitialisedProducer) -> Result<Vec<bool>, LogError> {
        let Self { clients, source, parts, until, .. } = self;
        let partitions: Vec<_> = parts.iter().map(|part| Arc::clone(&part.partition)).collect();
        let positions = held.positions(clients, &partitions, source, *until).await?;
        let is_new = |(part, position): (&RequestPart, Option<PartitionPosition>)| {
            let Some((first, last)) = part.mark.span() else { return Ok(false) };
            match position {
                Some(PartitionPosition { last: appended, .. }) if last <= appended => Ok(false),
                Some(PartitionPosition { last: appended, .. }) if first <= appended => {
                    let (topic, partition) = (part.partition.topic.to_string(), part.partition.number);
                    Err(LogError::SourceOverlap { topic, partition, source_id: source.clone(), first, appended })
                }
                _ => Ok(true),
            }
        };
        parts.iter().zip(positions).map(is_new).collect()
    }

    /// Appends the new parts in one transaction.
    async fn transact(&self, sender: &Arc<Sender>, news: &[bool]) -> Result<Vec<Option<Arc<Delivery>>>, LogError> {
        let Self { clients, topic, parts, .. } = self;
        let until = self.until;
        let at_broker = |work: fn(&Sender, Duration) -> Result<(), KafkaError>| {
            let (clients, sender, topic) = (Arc::clone(clients), Arc::clone(sender), Arc::clone(topic));
            blocking(move || {
                let done = work(&sender, until.saturating_duration_since(clock::now_monotonic()));
                done.map_err(|error| clients.failed("appending", &topic, &error))
            })
        };
        at_broker(|sender, _| sender.begin_transaction()).await?;
        let mut deliveries = Vec::with_capacity(parts.len());
        for (RequestPart { partition, records, mark }, is_new) in parts.iter().zip(news) {
            if !is_new {
                deliveries.push(None);
                continue;
            }
            let delivery = Arc::new(Delivery::of(records.len(), sender.gone()));
            enqueue(clients, sender, partition, records, Some(mark), &delivery, until).await?;
            deliveries.push(Some(delivery));
        }
        for delivery in deliveries.iter().flatten() {
            let left = until.saturating_duration_since(clock::now_monotonic());
            timeout(left, delivery.settled()).await.map_err(|_| {
                let why = format!("records were not acknowledged within {:?}", clients.patience());
                clients.failures.unreachable(&why, &clients.reported)
            })?;
            delivery.outcome().map_err(|code| self.failed(code))?;
        }
        // The producer counts records until it has reported them all, and a commit then checks every 100 ms.
        while sender.in_flight_count() > 0 && clock::now_monotonic() < until {
            clock::sleep(IN_FLIGHT_POLL_INTERVAL).await;
        }
        at_broker(|sender, left| {
            let until = clock::now_monotonic() + left;
            loop {
                let left = until.saturating_duration_since(clock::now_monotonic());
                match sender.commit_transaction(left) {
                    Err(KafkaError::Transaction(error)) if error.is_retriable() && !left.is_zero() => {}
                    committed => return committed,
                }
            }
        })
        .await?;
        Ok(deliveries)
    }

    fn failed(&self, code: Code) -> LogError {
        self.clients.failures.of_code("appending", &self.topic, code, &self.clients.reported)
    }
}

/// Waits until the partition's end is at `end`: the brokers write a transaction's markers after they have answered.
async fn readable(clients: &Arc<Clients>, partition: &Arc<KafkaPartition>, end: i64) -> Result<(), LogError> {
    while reading::bounds(clients, partition).await?.end < end {
        clock::sleep(READABLE_POLL_INTERVAL).await;
    }
    Ok(())
}
