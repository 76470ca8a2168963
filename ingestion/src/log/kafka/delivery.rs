//! The delivery of one append's records, counted down as the brokers acknowledge them.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use dovetail_core::offsets::OffsetRange;
use parking_lot::Mutex;
use rdkafka::types::RDKafkaErrorCode;
use tokio_util::sync::CancellationToken;

#[derive(Debug)]
pub(super) struct Delivery {
    records: usize,
    left: AtomicUsize,
    low: AtomicI64,
    high: AtomicI64,
    failed: Mutex<Option<RDKafkaErrorCode>>,
    done: CancellationToken,
    /// Cancelled when nothing more will be reported.
    gone: CancellationToken,
}

impl Delivery {
    /// A delivery of `records`, all of them still to be sent by a producer that exists until `gone` is cancelled.
    pub(super) fn of(records: usize, gone: CancellationToken) -> Self {
        let done = CancellationToken::new();
        if records == 0 {
            done.cancel();
        }
        Self {
            records,
            left: AtomicUsize::new(records),
            low: AtomicI64::new(i64::MAX),
            high: AtomicI64::new(-1),
            failed: Mutex::new(None),
            done,
            gone,
        }
    }

    /// A record is in the log at `offset`; -1 when the brokers do not say, because nobody waits for them (`acks=0`).
    pub(super) fn arrived(&self, offset: i64) {
        self.low.fetch_min(offset, Ordering::Relaxed);
        self.high.fetch_max(offset, Ordering::Relaxed);
        self.settle(1);
    }

    pub(super) fn failed(&self, code: RDKafkaErrorCode) {
        self.not_sent(1, code);
    }

    /// Counts the last `records` as not handed to the producer.
    pub(super) fn not_sent(&self, records: usize, code: RDKafkaErrorCode) {
        self.lock().get_or_insert(code);
        self.settle(records);
    }

    fn settle(&self, records: usize) {
        if self.left.fetch_sub(records, Ordering::AcqRel) == records {
            self.done.cancel();
        }
    }

    /// Waits until no record is in flight any more.
    pub(super) async fn settled(&self) {
        tokio::select! {
            () = self.done.cancelled() => {}
            () = self.gone.cancelled() => {}
        }
    }

    #[cfg(test)]
    fn is_settled(&self) -> bool {
        self.done.is_cancelled() || self.gone.is_cancelled()
    }

    /// The offsets of the records, once settled, or the reason of the first failure. Records of others can be between.
    /// When the brokers did not report offsets, the range begins at 0.
    pub(super) fn outcome(&self) -> Result<OffsetRange, RDKafkaErrorCode> {
        if let Some(code) = *self.lock() {
            return Err(code);
        }
        if !self.done.is_cancelled() {
            return Err(RDKafkaErrorCode::PurgeInflight);
        }
        let (low, high) = (self.low.load(Ordering::Relaxed), self.high.load(Ordering::Relaxed));
        Ok(if low < 0 || high < low {
            OffsetRange::new(0, self.records as i64)
        } else {
            OffsetRange::new(low, high + 1)
        })
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, Option<RDKafkaErrorCode>> {
        self.failed.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(records: usize) -> Delivery {
        Delivery::of(records, CancellationToken::new())
    }

    #[tokio::test]
    async fn what_a_producer_never_tells_has_failed() {
        let gone = CancellationToken::new();
        let delivery = Delivery::of(2, gone.clone());
        delivery.arrived(7);
        assert!(!delivery.is_settled());
        gone.cancel();
        delivery.settled().await;
        assert!(delivery.is_settled());
        assert_eq!(delivery.outcome(), Err(RDKafkaErrorCode::PurgeInflight));
    }

    #[test]
    fn a_delivery_settles_with_its_last_record() {
        let delivery = of(3);
        delivery.arrived(7);
        delivery.arrived(9);
        assert!(!delivery.is_settled());
        delivery.arrived(8);
        assert!(delivery.is_settled());
        assert_eq!(delivery.outcome(), Ok(OffsetRange::new(7, 10)));
        assert!(of(0).is_settled());
    }

    #[test]
    fn one_failure_is_the_outcome_of_all() {
        let delivery = of(4);
        delivery.arrived(7);
        delivery.failed(RDKafkaErrorCode::MessageTimedOut);
        delivery.not_sent(2, RDKafkaErrorCode::QueueFull);
        assert!(delivery.is_settled());
        assert_eq!(delivery.outcome(), Err(RDKafkaErrorCode::MessageTimedOut));
    }
}
