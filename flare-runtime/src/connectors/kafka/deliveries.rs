//! What became of records handed to the producer: only those that failed are reported and kept.

use std::sync::{Mutex, PoisonError};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::{ClientContext, Message as _};

use super::client::is_transient;
use super::events::{Outage, log};

/// A record that was not delivered.
#[derive(Debug)]
pub(crate) struct Undelivered {
    pub(crate) key: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    /// The number that the sink gave it.
    pub(crate) number: usize,
    pub(crate) partition: i32,
    pub(crate) code: RDKafkaErrorCode,
}

/// What is to be done about a record that was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The record itself is refused: turned aside.
    Reject,
    /// Refused only because of another record in its batch: sent again at once.
    Resend,
    /// The cluster may take it later: kept.
    Keep,
    /// The cluster refuses everything: the job fails.
    Fail,
}

impl Verdict {
    pub(crate) fn of(code: RDKafkaErrorCode) -> Self {
        use RDKafkaErrorCode as Code;
        match code {
            Code::MessageSizeTooLarge
            | Code::InvalidMessage
            | Code::InvalidMessageSize
            | Code::InvalidTimestamp
            | Code::InvalidRecord
            | Code::PolicyViolation => Self::Reject,
            Code::InvalidDifferentRecord => Self::Resend,
            code if is_transient(code) => Self::Keep,
            _ => Self::Fail,
        }
    }
}

/// The context of a sink's producer.
#[derive(Debug)]
pub(crate) struct Deliveries {
    pub(crate) outage: Outage,
    failed: Mutex<Vec<Undelivered>>,
}

impl Deliveries {
    pub(crate) fn new(cluster: &str, topic: &str) -> Self {
        Self { outage: Outage::new(cluster, topic), failed: Mutex::default() }
    }

    /// Whether there are records that failed.
    pub(crate) fn has_failed(&self) -> bool {
        !self.failed.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// The records that failed since the last call.
    pub(crate) fn take_failed(&self) -> Vec<Undelivered> {
        std::mem::take(&mut *self.failed.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.outage.note(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let Err((error, message)) = result else { return };
        let undelivered = Undelivered {
            key: message.key().unwrap_or_default().to_vec(),
            payload: message.payload().unwrap_or_default().to_vec(),
            number,
            partition: message.partition(),
            code: error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown),
        };
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).push(undelivered);
    }
}
