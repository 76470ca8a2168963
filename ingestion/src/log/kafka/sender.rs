//! A producer of librdkafka, and the moment from which it reports nothing more.

use std::ops::Deref;

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaResult;
use rdkafka::producer::ThreadedProducer;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::context::Context;

/// A producer.
pub(super) struct Sender {
    /// Dropped before `gone` is cancelled: a delivery that it has not reported by then is never reported.
    producer: ThreadedProducer<Context>,
    gone: DropGuard,
}

impl Sender {
    pub(super) fn open(config: &ClientConfig, context: Context) -> KafkaResult<Self> {
        let producer = config.create_with_context(context)?;
        Ok(Self { producer, gone: CancellationToken::new().drop_guard() })
    }

    /// Cancelled once this producer reports nothing more.
    pub(super) fn gone(&self) -> CancellationToken {
        self.gone.token().clone()
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl Deref for Sender {
    type Target = ThreadedProducer<Context>;

    fn deref(&self) -> &ThreadedProducer<Context> {
        &self.producer
    }
}
