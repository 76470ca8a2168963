//! Reports of librdkafka's clients: log lines, errors, and the delivery of each record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dovetail_core::clock;
use metrics::counter;
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::ProducerContext;
use rdkafka::types::RDKafkaErrorCode;
use tokio::time::Instant;

use super::delivery::Delivery;
use super::identity::Identities;
use super::presence::Presence;

/// Time for which a reason is reported: librdkafka repeats the same one only every 30 seconds.
const TROUBLE_TOLD_FOR: Duration = Duration::from_secs(60);

/// State that all clients of one log share.
#[derive(Debug, Default)]
pub(super) struct Reported {
    pub(super) identities: Identities,
    pub(super) presence: Presence,
    trouble: Mutex<Option<(Instant, String)>>,
    debugs: bool,
}

impl Reported {
    pub(super) fn new(debugs: bool) -> Self {
        Self { debugs, ..Self::default() }
    }

    fn note(&self, why: &str) {
        let mut trouble = self.trouble.lock();
        *trouble = Some((clock::now_monotonic(), why.to_owned()));
    }

    /// The last trouble, if it was recent.
    pub(super) fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock();
        trouble.as_ref().filter(|(at, _)| at.elapsed() <= TROUBLE_TOLD_FOR).map(|(_, why)| why.clone())
    }
}

/// The callbacks of one client.
pub(super) struct Context {
    client: &'static str,
    pub(super) reported: Arc<Reported>,
    /// Number of events: the poller of a client's queue sees by it whether the queue was empty.
    events: AtomicU64,
}

impl Context {
    pub(super) fn new(client: &'static str, reported: &Arc<Reported>) -> Self {
        Self { client, reported: Arc::clone(reported), events: AtomicU64::new(0) }
    }

    pub(super) fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.events.fetch_add(1, Ordering::Relaxed);
        if facility == "FAIL" {
            // "[thrd:..]: " names one of librdkafka's threads.
            self.reported.note(line.split_once("]: ").map_or(line, |(_, line)| line));
        }
        match level {
            RDKafkaLogLevel::Debug => {
                self.reported.identities.read(line);
                if self.reported.debugs {
                    tracing::debug!(client = self.client, facility, "{line}");
                }
            }
            // The clients share their settings; each warns of those of other kinds of clients.
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::debug!(client = self.client, facility, "{line}")
            }
            RDKafkaLogLevel::Warning if facility == "CONFWARN" => {}
            _ => tracing::warn!(client = self.client, facility, "{line}"),
        }
    }

    fn stats_raw(&self, _: &[u8]) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.events.fetch_add(1, Ordering::Relaxed);
        let Some(code) = error.rdkafka_error_code() else { return };
        if code == RDKafkaErrorCode::PartitionEOF {
            return;
        }
        counter!("dovetail_kafka_errors_total", "client" => self.client, "code" => format!("{code:?}")).increment(1);
        // "All brokers down" follows from the errors before it, which have the reason.
        if code != RDKafkaErrorCode::AllBrokersDown {
            self.reported.note(reason);
        }
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = Arc<Delivery>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivery: Arc<Delivery>) {
        match result {
            Ok(message) => delivery.arrived(message.offset()),
            Err((error, _)) => delivery.failed(error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail)),
        }
    }
}
