//! Settings of librdkafka: those that Dovetail sets, those that the user may set, and those that nobody else may.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::log::LogError;

/// Addresses of the brokers, and the settings of the clients.
#[derive(Debug, Clone)]
pub struct KafkaConfig {
    /// Addresses `host:port`, separated by commas.
    pub brokers: String,
    /// Settings of librdkafka, for all clients. They win over Dovetail's; a client ignores those of other kinds of
    /// clients.
    pub settings: BTreeMap<String, String>,
    /// Number of replicas of a created topic; `None` for the brokers' default.
    pub replication: Option<u16>,
    /// Settings of a created topic, such as `retention.ms`.
    pub topic: BTreeMap<String, String>,
    /// Time for which an operation waits for the brokers before it fails with [`LogError::Unreachable`].
    pub patience: Duration,
    /// Number of places at which one partition can be read at the same time, each without a seek. At least 1; the
    /// layers are two readers, and a search for a source is a third.
    pub readers: usize,
}

/// librdkafka's own limit of a record's size in bytes.
const MESSAGE_MAX_BYTES: usize = 1_000_000;

/// Settings that Dovetail relies on, with the reason why another value would break it.
const OWN: [(&str, &str); 8] = [
    ("bootstrap.servers", "the brokers are named in one place"),
    ("metadata.broker.list", "the brokers are named in one place"),
    ("enable.partition.eof", "the end of a partition is found by it"),
    ("auto.offset.reset", "a reader never jumps over records"),
    ("enable.auto.commit", "the catalog holds the offsets"),
    ("enable.auto.offset.store", "the catalog holds the offsets"),
    ("transactional.id", "it follows from topic and source"),
    ("transaction.timeout.ms", "a transaction takes as long as an append may"),
];

const CLIENT: [(&str, &str); 3] =
    [("client.id", "dovetail"), ("reconnect.backoff.max.ms", "1000"), ("socket.keepalive.enable", "true")];

/// Settings of consumers. One fetch at a time is in flight per broker, for all partitions: it must not wait for long
/// when a partition that is not in it needs more. Queues are per partition; librdkafka needs about 500 bytes per record
/// besides payload.
const CONSUMER: [(&str, &str); 9] = [
    ("group.id", "dovetail"),
    ("isolation.level", "read_committed"),
    ("fetch.wait.max.ms", "30"),
    ("fetch.error.backoff.ms", "100"),
    ("fetch.queue.backoff.ms", "2"),
    ("fetch.message.max.bytes", "4194304"),
    ("queued.min.messages", "50000"),
    ("queued.max.messages.kbytes", "16384"),
    ("enable.partition.eof", "true"),
];

/// Settings of producers. A record waits in the producer without a limit: one that was given up while later ones got
/// through would leave a hole in its source. For the same reason the first refused record stops the others.
const PRODUCER: [(&str, &str); 7] = [
    ("enable.idempotence", "true"),
    ("enable.gapless.guarantee", "true"),
    ("message.timeout.ms", "0"),
    ("linger.ms", "2"),
    ("compression.type", "lz4"),
    ("queue.buffering.max.messages", "500000"),
    ("queue.buffering.max.kbytes", "262144"),
];

/// Settings of a transactional producer that cannot be changed, also where those of the other one are.
const TRANSACTIONAL: [&str; 9] = [
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.send.max.retries",
    "retries",
    "message.timeout.ms",
    "delivery.timeout.ms",
];

impl KafkaConfig {
    /// Refuses settings that Dovetail relies on; librdkafka refuses those that it does not know.
    pub(super) fn check(&self) -> Result<(), LogError> {
        match OWN.iter().find(|(name, _)| self.settings.contains_key(*name)) {
            Some((name, why)) => {
                let why = format!("it cannot be set, {why}");
                Err(LogError::KafkaSetting { name: (*name).to_owned(), why })
            }
            None => Ok(()),
        }
    }

    /// Settings of the consumers with which the log reads.
    pub fn consumer(&self) -> ClientConfig {
        let mut config = self.client(&CONSUMER);
        config.set("auto.offset.reset", "error");
        config.set("enable.auto.commit", "false");
        config.set("enable.auto.offset.store", "false");
        self.with_topic_ids(&mut config);
        config
    }

    /// Settings of [`KafkaConfig::observer`] for a reader that does not wait for transactions.
    pub(super) fn undecided(&self) -> ClientConfig {
        let mut config = self.client(&[]);
        config.remove("group.id");
        config.set("isolation.level", "read_uncommitted");
        config
    }

    /// Settings for metadata and bounds, as a reader of committed records sees them: no group, nothing is fetched.
    pub(super) fn observer(&self) -> ClientConfig {
        let mut config = self.client(&[("isolation.level", "read_committed")]);
        config.remove("group.id");
        self.with_topic_ids(&mut config);
        config
    }

    pub(super) fn producer(&self) -> ClientConfig {
        let idempotent = self.settings.get("enable.idempotence").is_none_or(|on| on == "true");
        let at_all = |name: &str| idempotent || !matches!(name, "enable.idempotence" | "enable.gapless.guarantee");
        let defaults: Vec<_> = PRODUCER.into_iter().filter(|(name, _)| at_all(name)).collect();
        self.client(&defaults)
    }

    /// Settings for requests of sources. A transaction that is not committed in time is aborted: until then readers
    /// wait in front of it.
    pub(super) fn transactional(&self, id: &str) -> ClientConfig {
        let mut settings = self.settings.clone();
        settings.retain(|name, _| !TRANSACTIONAL.contains(&name.as_str()));
        let mut config = Self { settings, ..self.clone() }.producer();
        let longest = self.patience.as_millis().clamp(1000, 900_000).to_string();
        config.set("transactional.id", id).set("transaction.timeout.ms", &longest).set("message.timeout.ms", longest);
        config
    }

    pub(super) fn admin(&self) -> ClientConfig {
        self.client(&[])
    }

    /// Greatest size of one record in bytes, its key and headers included.
    pub(super) fn most_bytes(&self) -> usize {
        let set = self.settings.get("message.max.bytes").and_then(|bytes| bytes.parse().ok());
        set.unwrap_or(MESSAGE_MAX_BYTES)
    }

    /// Whether the user wants librdkafka's debug lines.
    pub(super) fn debugs(&self) -> bool {
        self.settings.contains_key("debug")
    }

    fn client(&self, defaults: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("ssl.ca.location", authorities());
        for (name, value) in CLIENT.iter().chain(defaults) {
            config.set(*name, *value);
        }
        for (name, value) in &self.settings {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        config.set_log_level(if self.debugs() { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Warning });
        config
    }

    /// Enables the debug lines that report the ids of topics, see `identity`.
    fn with_topic_ids(&self, config: &mut ClientConfig) {
        let wanted = self.settings.get("debug").map_or_else(|| "metadata".to_owned(), |own| format!("{own},metadata"));
        config.set("debug", wanted);
        config.set_log_level(RDKafkaLogLevel::Debug);
    }
}

/// The path of certificates: the compiled-in OpenSSL looks for them where no machine has them; librdkafka knows
/// the usual places. The variable is OpenSSL's, and rustls reads it too.
fn authorities() -> String {
    std::env::var("SSL_CERT_FILE").ok().filter(|file| !file.is_empty()).unwrap_or_else(|| "probe".to_owned())
}
