//! The clients of librdkafka for one log, each made at its first use.
//!
//! | client | for |
//! |---|---|
//! | observer | metadata and bounds; also hears the ids of topics |
//! | second observer | the end, with the records of open transactions |
//! | lanes | reading |
//! | producer | appending; replaced after an error that it does not survive |
//! | holds | appending requests of sources, each with a transactional id |
//! | admin | topics, trimming |

use std::sync::Arc;
use std::time::Duration;

use dovetail_core::clock;
use dovetail_core::offsets::OffsetRange;
use metrics::counter;
use parking_lot::{Mutex, MutexGuard};
use rdkafka::admin::AdminClient;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::Metadata;
use rdkafka::producer::Producer;
use rdkafka::types::RDKafkaErrorCode;
use tokio_util::task::TaskTracker;

use super::context::{Context, Reported};
use super::failure::{Failures, is_outage};
use super::settings::KafkaConfig;
use crate::log::LogError;
use crate::log::kafka::consumer::{SharedConsumer, serve};
use crate::log::kafka::producer_pool::Holds;
use crate::log::kafka::sender::Sender;

/// Interval of retries.
const BROKER_RETRY_PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Clients {
    pub(super) config: KafkaConfig,
    pub(super) reported: Arc<Reported>,
    pub(super) failures: Failures,
    observer: BaseConsumer<Context>,
    /// Locked while a task takes the observer's events.
    observing: Mutex<()>,
    undecided: Mutex<Option<Arc<BaseConsumer<Context>>>>,
    lanes: Mutex<Vec<Option<Arc<SharedConsumer>>>>,
    pub(super) holds: Holds,
    /// Transactions of sources in progress, which are awaited to their end.
    pub(super) requests: TaskTracker,
    sender: Mutex<Option<Arc<Sender>>>,
    admin: Mutex<Option<Arc<AdminClient<Context>>>>,
}

impl Clients {
    pub(super) fn open(config: KafkaConfig) -> Result<Self, LogError> {
        config.check()?;
        let reported = Arc::new(Reported::new(config.debugs()));
        let failures = Failures { brokers: config.brokers.clone() };
        let context = Context::new("observer", &reported);
        let observer = config.observer().create_with_context(context);
        let observer = observer.map_err(|error| failures.of("opening the log", "", &error, &reported))?;
        let lanes = Mutex::new(vec![None; config.readers.max(1)]);
        let (undecided, sender, admin) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (observing, holds, requests) = (Mutex::default(), Holds::default(), TaskTracker::new());
        let clients =
            Self { config, reported, failures, observer, observing, undecided, lanes, holds, requests, sender, admin };
        // Both clients, so that a setting that only one of them refuses is refused here and not later.
        clients.lane(0).map_err(|error| clients.failed("opening the log", "", &error))?;
        clients.sender().map_err(|error| clients.failed("opening the log", "", &error))?;
        Ok(clients)
    }

    pub(super) fn failed(&self, what: &str, topic: &str, error: &KafkaError) -> LogError {
        self.failures.of(what, topic, error, &self.reported)
    }

    pub(super) fn patience(&self) -> Duration {
        self.config.patience
    }

    pub(super) fn lane(&self, number: usize) -> KafkaResult<Arc<SharedConsumer>> {
        let mut lanes = lock(&self.lanes);
        if let Some(Some(lane)) = lanes.get(number) {
            return Ok(Arc::clone(lane));
        }
        let lane = Arc::new(SharedConsumer::open(&self.config, Context::new("reader", &self.reported))?);
        if let Some(place) = lanes.get_mut(number) {
            *place = Some(Arc::clone(&lane));
        }
        Ok(lane)
    }

    /// The producer; a new one when the last did not survive an error. Its unsent records have failed.
    pub(super) fn sender(&self) -> KafkaResult<Arc<Sender>> {
        let mut sender = lock(&self.sender);
        if let Some(sender) = sender.as_ref().filter(|sender| sender.client().fatal_error().is_none()) {
            return Ok(Arc::clone(sender));
        }
        if let Some((code, why)) = sender.as_ref().and_then(|sender| sender.client().fatal_error()) {
            counter!("dovetail_kafka_producers_replaced_total").increment(1);
            tracing::warn!(%code, why, "the producer is replaced; what it held is not acknowledged");
        }
        let fresh = Arc::new(Sender::open(&self.config.producer(), Context::new("producer", &self.reported))?);
        if let Some(old) = sender.replace(Arc::clone(&fresh)) {
            // Dropping it takes a moment, during which other tasks go on.
            std::thread::spawn(move || drop(old));
        }
        Ok(fresh)
    }

    /// A producer with this transactional id.
    pub(super) fn transactional(&self, id: &str) -> KafkaResult<Sender> {
        Sender::open(&self.config.transactional(id), Context::new("producer", &self.reported))
    }

    pub(super) fn admin(&self) -> KafkaResult<Arc<AdminClient<Context>>> {
        let mut admin = lock(&self.admin);
        if let Some(admin) = admin.as_ref() {
            return Ok(Arc::clone(admin));
        }
        let fresh = self.config.admin().create_with_context(Context::new("admin", &self.reported))?;
        Ok(Arc::clone(admin.insert(Arc::new(fresh))))
    }

    /// The brokers' metadata of `topic`. Blocks.
    pub(super) fn metadata(&self, topic: &str, patience: Duration) -> Result<Metadata, LogError> {
        let what = "asking for the topic";
        self.patiently(what, topic, patience, |left| self.observer.fetch_metadata(Some(topic), left))
    }

    /// First offset and end of committed records. Blocks.
    pub(super) fn bounds(&self, topic: &str, partition: i32) -> Result<OffsetRange, LogError> {
        let bounds = self.patiently("asking for the bounds", topic, self.patience(), |left| {
            let bounds = self.observer.fetch_watermarks(topic, partition, left);
            if bounds.is_err() {
                // librdkafka forgets partitions whose broker was away for long, until somebody asks for the topic.
                self.observer.fetch_metadata(Some(topic), left)?;
            }
            bounds
        });
        self.reported.identities.check(topic)?;
        let (start, end) = bounds?;
        // The start and the end are read one after the other; a part trimmed in between cannot be read any more.
        Ok(OffsetRange::new(start, end.max(start)))
    }

    /// The end of all records, committed or not. Blocks.
    pub(super) fn undecided_end(&self, topic: &str, partition: i32) -> Result<i64, LogError> {
        let failed = |error| self.failed("asking for the end", topic, &error);
        let observer = self.undecided().map_err(failed)?;
        let end = self.patiently("asking for the end", topic, self.patience(), |left| {
            let watermarks = observer.fetch_watermarks(topic, partition, left);
            if watermarks.is_err() {
                observer.fetch_metadata(Some(topic), left)?;
            }
            watermarks.map(|(_, end)| end)
        });
        let _none = serve(&observer);
        self.reported.identities.check(topic)?;
        end
    }

    fn undecided(&self) -> KafkaResult<Arc<BaseConsumer<Context>>> {
        let mut observer = lock(&self.undecided);
        if let Some(observer) = observer.as_ref() {
            return Ok(Arc::clone(observer));
        }
        let fresh = self.config.undecided().create_with_context(Context::new("observer", &self.reported))?;
        Ok(Arc::clone(observer.insert(Arc::new(fresh))))
    }

    /// Repeats a request while the brokers are away, but not for longer than `patience`.
    fn patiently<T>(
        &self,
        what: &str,
        topic: &str,
        patience: Duration,
        ask: impl Fn(Duration) -> KafkaResult<T>,
    ) -> Result<T, LogError> {
        let until = clock::now_monotonic() + patience;
        loop {
            let answer = ask(until.saturating_duration_since(clock::now_monotonic()));
            self.serve_observer();
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) if passes(&error) && clock::now_monotonic() < until => {
                    self.reported.identities.check(topic)?;
                    clock::block_for(BROKER_RETRY_PAUSE);
                }
                Err(error) => return Err(self.failed(what, topic, &error)),
            }
        }
    }

    /// Handles the clients' reports while nothing is read.
    pub(super) fn serve(&self) {
        self.serve_observer();
        let lanes: Vec<_> = lock(&self.lanes).iter().flatten().cloned().collect();
        for lane in lanes {
            lane.serve();
        }
        if let Some(observer) = lock(&self.undecided).as_ref() {
            let _none = serve(observer);
        }
    }

    fn serve_observer(&self) {
        let _alone = lock(&self.observing);
        let _none = serve(&self.observer);
    }
}

/// Whether a retry may succeed soon.
fn passes(error: &KafkaError) -> bool {
    error.rdkafka_error_code().is_some_and(|code| is_outage(code) || code == RDKafkaErrorCode::UnknownPartition)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
