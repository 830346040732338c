//! What a consumer's client reports beside records: outages, and how far the partitions reach.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde::Deserialize;
use tokio::sync::Notify;

/// Whether the cluster can be reached; an outage is logged once, and its end.
#[derive(Debug)]
pub(crate) struct Outage {
    cluster: String,
    topic: String,
    lasting: AtomicBool,
}

impl Outage {
    pub(crate) fn new(cluster: &str, topic: &str) -> Self {
        Self { cluster: cluster.to_owned(), topic: topic.to_owned(), lasting: AtomicBool::new(false) }
    }

    /// Notes an error of the whole client.
    pub(crate) fn note(&self, error: &KafkaError, reason: &str) {
        let (cluster, topic) = (&self.cluster, &self.topic);
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::PartitionEOF) => {}
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                if !self.lasting.swap(true, Ordering::Relaxed) {
                    tracing::warn!(cluster, topic, reason, "no broker of the cluster answers; trying again");
                }
            }
            _ => tracing::debug!(cluster, topic, %error, reason, "kafka client reported an error"),
        }
    }

    /// Notes that a broker answered.
    pub(crate) fn over(&self) {
        if self.lasting.load(Ordering::Relaxed) && self.lasting.swap(false, Ordering::Relaxed) {
            tracing::info!(cluster = self.cluster, topic = self.topic, "the cluster answers again");
        }
    }
}

/// Passes a log line of librdkafka on; its errors reach the log by other ways, once each.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "librdkafka", facility, "{line}");
        }
        _ => tracing::debug!(target: "librdkafka", facility, "{line}"),
    }
}

/// How far a partition reaches.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Tail {
    /// The offset behind the last record that can be read.
    pub(crate) ls_offset: i64,
    /// The last offset at which the consumer met the partition's end; -1001 when it never did.
    #[serde(default = "never")]
    pub(crate) eof_offset: i64,
}

fn never() -> i64 {
    -1001
}

/// The context of a source's consumer.
#[derive(Debug)]
pub(crate) struct SourceEvents {
    pub(crate) outage: Outage,
    tails: Mutex<BTreeMap<i32, Tail>>,
    fresh: AtomicBool,
    /// Told when there are new tails.
    pub(crate) changed: Notify,
}

impl SourceEvents {
    pub(crate) fn new(cluster: &str, topic: &str) -> Self {
        Self {
            outage: Outage::new(cluster, topic),
            tails: Mutex::default(),
            fresh: AtomicBool::new(false),
            changed: Notify::new(),
        }
    }

    /// The tails, if there are new ones since the last call.
    pub(crate) fn fresh_tails(&self) -> Option<BTreeMap<i32, Tail>> {
        if !self.fresh.load(Ordering::Relaxed) {
            return None;
        }
        self.fresh.store(false, Ordering::Relaxed);
        Some(self.tails.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn note_statistics(&self, json: &[u8]) -> serde_json::Result<()> {
        #[derive(Deserialize)]
        struct Statistics {
            topics: BTreeMap<String, Topic>,
        }
        #[derive(Deserialize)]
        struct Topic {
            partitions: BTreeMap<i32, Tail>,
        }
        let statistics: Statistics = serde_json::from_slice(json)?;
        if let Some(topic) = statistics.topics.into_iter().find(|(name, _)| *name == self.outage.topic) {
            *self.tails.lock().unwrap_or_else(PoisonError::into_inner) = topic.1.partitions;
            self.fresh.store(true, Ordering::Relaxed);
            self.changed.notify_one();
        }
        Ok(())
    }
}

impl ClientContext for SourceEvents {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        log(level, facility, line);
    }

    fn stats_raw(&self, json: &[u8]) {
        if let Err(error) = self.note_statistics(json) {
            tracing::debug!(%error, "the client's statistics cannot be read");
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.outage.note(&error, reason);
    }
}

impl ConsumerContext for SourceEvents {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_tails_from_the_statistics() {
        let events = SourceEvents::new("kafka", "orders");
        let json = br#"{"name":"x","topics":{"orders":{"topic":"orders","partitions":{
            "0":{"partition":0,"ls_offset":7,"hi_offset":8,"eof_offset":7},
            "-1":{"partition":-1,"ls_offset":-1001,"eof_offset":-1001}}}}}"#;
        events.note_statistics(json).expect("readable");
        let tails = events.fresh_tails().expect("fresh");
        assert_eq!((tails[&0].ls_offset, tails[&0].eof_offset), (7, 7));
        assert!(events.fresh_tails().is_none());
    }
}
