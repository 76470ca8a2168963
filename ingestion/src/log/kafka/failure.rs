//! Errors of librdkafka, turned into errors of the log.

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::context::Reported;
use crate::log::LogError;

/// Translates errors of librdkafka.
#[derive(Debug, Clone)]
pub(super) struct Failures {
    pub(super) brokers: String,
}

impl Failures {
    /// The error of `what` on `topic`.
    pub(super) fn of(&self, what: &str, topic: &str, error: &KafkaError, reported: &Reported) -> LogError {
        match error {
            KafkaError::ClientConfig(_, why, name, _) => {
                LogError::KafkaSetting { name: name.clone(), why: why.trim().to_owned() }
            }
            KafkaError::AdminOp(code) => self.of_code(what, topic, *code, reported),
            error => match error.rdkafka_error_code() {
                Some(code) => self.of_code(what, topic, code, reported),
                None => refused(what, topic, error.to_string()),
            },
        }
    }

    pub(super) fn of_code(&self, what: &str, topic: &str, code: Code, reported: &Reported) -> LogError {
        // A re-created topic is the cause of every other error on it, such as an unknown partition.
        if let Err(recreated) = reported.identities.check(topic) {
            return recreated;
        }
        match code {
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownTopicId => self.unknown(topic, reported),
            code if is_outage(code) => self.unreachable(&format!("{what}: {code}"), reported),
            code => refused(what, topic, code.to_string()),
        }
    }

    /// The error when a broker reports that there is no such topic.
    pub(super) fn unknown(&self, topic: &str, reported: &Reported) -> LogError {
        if reported.presence.is_gone(topic) {
            return LogError::NoSuchTopic { topic: topic.to_owned() };
        }
        let why = format!("a broker has not heard of topic `{topic}`, which was there");
        LogError::Unreachable { brokers: self.brokers.clone(), why }
    }

    /// The error when the brokers did not answer; a recent report of a connection is the better reason.
    pub(super) fn unreachable(&self, why: &str, reported: &Reported) -> LogError {
        let why = reported.trouble().unwrap_or_else(|| why.to_owned());
        LogError::Unreachable { brokers: self.brokers.clone(), why }
    }
}

fn refused(what: &str, topic: &str, why: String) -> LogError {
    LogError::Refused { what: what.to_owned(), topic: topic.to_owned(), why }
}

/// Whether a retry may well succeed later, without a change on this side.
pub(super) fn is_outage(code: Code) -> bool {
    matches!(
        code,
        Code::AllBrokersDown
            | Code::BrokerDestroy
            | Code::BrokerNotAvailable
            | Code::BrokerTransportFailure
            | Code::ConcurrentTransactions
            | Code::CoordinatorLoadInProgress
            | Code::CoordinatorNotAvailable
            | Code::DestroyBroker
            // Another producer took the source over; this one takes it back.
            | Code::Fenced
            | Code::FencedLeaderEpoch
            | Code::Fatal
            | Code::GaplessGuarantee
            | Code::InvalidProducerEpoch
            | Code::InvalidProducerIdMapping
            | Code::InvalidTransactionalState
            | Code::KafkaStorageError
            | Code::LeaderNotAvailable
            | Code::MessageTimedOut
            | Code::NetworkException
            | Code::NotCoordinator
            | Code::NotEnoughReplicas
            | Code::NotEnoughReplicasAfterAppend
            | Code::NotLeaderForPartition
            | Code::OffsetNotAvailable
            | Code::OperationTimedOut
            // The producer is replaced, and the sender learns from the log which records it has.
            | Code::OutOfOrderSequenceNumber
            | Code::ProducerFenced
            | Code::PurgeInflight
            | Code::PurgeQueue
            | Code::QueueFull
            | Code::ReplicaNotAvailable
            | Code::RequestTimedOut
            | Code::Resolve
            | Code::Retry
            | Code::State
            | Code::TimedOutQueue
            | Code::TransactionCoordinatorFenced
            | Code::UnknownLeaderEpoch
            | Code::UnknownProducerId
            | Code::WaitingForCoordinator
    )
}
