//! One subtask's producer.

use std::time::Duration;

use async_trait::async_trait;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};

use super::client::{Endpoint, Shared};
use super::deliveries::{Deliveries, Undelivered, Verdict};
use super::limits::Limits;
use crate::api::{ByteBatch, Counter, Sink, SinkBatch};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Meta, Reject, Timestamp};

pub(crate) type Producer = ThreadedProducer<Deliveries>;

/// How long to wait before looking again whether the producer has room, or is empty.
const PAUSE: Duration = Duration::from_millis(1);
/// How many records' metadata may pile up before the producer is emptied, 24 MB; that takes some milliseconds.
const MAX_METAS: usize = 1_000_000;

/// Writes at least once, in order for each key as long as no record exceeds the delivery timeout.
///
/// Records that exceed it are kept and sent again by the next call, so that a flush that is repeated until it succeeds
/// loses none; records written meanwhile may then stand before them.
pub(crate) struct Writer {
    producer: Shared<Producer>,
    endpoint: Endpoint,
    headers: Option<OwnedHeaders>,
    limits: Limits,
    /// Metadata of the records sent since the producer was last seen empty; a record's number is its place here. Only
    /// failures are reported, so that no entry can be dropped before.
    metas: Vec<Meta>,
    /// Not delivered so far, to be sent again.
    kept: Vec<Record>,
    /// Groups of records of which at least one is refused, each to be sent alone.
    suspects: Vec<Vec<Record>>,
    /// Counts records sent again.
    resent: Counter,
}

/// A record that was not delivered.
struct Record {
    key: Vec<u8>,
    payload: Vec<u8>,
    meta: Meta,
}

impl Writer {
    pub(crate) fn new(
        producer: Shared<Producer>,
        endpoint: Endpoint,
        headers: Option<OwnedHeaders>,
        limits: Limits,
        resent: Counter,
    ) -> Self {
        let (metas, kept, suspects) = (Vec::new(), Vec::new(), Vec::new());
        Self { producer, endpoint, headers, limits, metas, kept, suspects, resent }
    }

    /// Hands a record to the producer, waiting for room. A record that can never be written goes to `rejects`.
    async fn send(
        &mut self,
        key: &[u8],
        payload: &[u8],
        meta: Meta,
        rejects: &mut Vec<Reject>,
    ) -> Result<()> {
        loop {
            match self.try_send(key, payload, meta) {
                Ok(()) => {
                    self.metas.push(meta);
                    return Ok(());
                }
                Err(RDKafkaErrorCode::QueueFull) => tokio::time::sleep(PAUSE).await,
                Err(code) if Verdict::of(code) == Verdict::Reject => {
                    rejects.push(self.reject(payload.to_vec(), meta, code));
                    return Ok(());
                }
                Err(code) => return Err(self.failure(code)),
            }
        }
    }

    fn try_send(&self, key: &[u8], payload: &[u8], meta: Meta) -> Result<(), RDKafkaErrorCode> {
        let mut record = BaseRecord::with_opaque_to(&self.endpoint.topic, self.metas.len());
        record.payload = Some(payload);
        record.key = (!key.is_empty()).then_some(key);
        record.timestamp = (meta.timestamp != Timestamp::MIN).then(|| meta.timestamp.as_millis());
        record.headers.clone_from(&self.headers);
        let sent = self.producer.send(record);
        sent.map_err(|(error, _)| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::InvalidArgument))
    }

    /// Sends records again; those that the producer does not take are kept.
    async fn resend(&mut self, records: Vec<Record>, rejects: &mut Vec<Reject>) -> Result<()> {
        self.resent.add(records.len() as u64);
        let mut records = records.into_iter();
        while let Some(record) = records.next() {
            if let Err(error) = self.send(&record.key, &record.payload, record.meta, rejects).await {
                self.kept.push(record);
                self.kept.extend(records);
                return Err(error);
            }
        }
        Ok(())
    }

    async fn resend_kept(&mut self, rejects: &mut Vec<Reject>) -> Result<()> {
        let kept = std::mem::take(&mut self.kept);
        self.resend(kept, rejects).await
    }

    /// Waits until the producer holds no record any more, and sorts those that it could not deliver: into `rejects`, or
    /// into `kept`. Gives back a reason why something has to be kept until the cluster is back.
    async fn settle(&mut self, rejects: &mut Vec<Reject>) -> Result<Option<RDKafkaErrorCode>> {
        let mut reason = None;
        loop {
            while self.producer.in_flight_count() > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            reason = self.sort_failed(rejects)?.or(reason);
            if let Some((code, text)) = self.producer.client().fatal_error() {
                return Err(self.failure(code).with("reason", text));
            }
            match self.suspects.pop() {
                Some(suspects) => self.resend(suspects, rejects).await?,
                None => return Ok(reason),
            }
        }
    }

    /// Sorts what the empty producer could not deliver.
    fn sort_failed(&mut self, rejects: &mut Vec<Reject>) -> Result<Option<RDKafkaErrorCode>> {
        let mut failed = self.producer.client().context().take_failed();
        // Stable: those of one partition stay in order, batch by batch.
        failed.sort_by_key(|record| record.partition);
        let (mut reason, mut failure) = (None, None);
        let mut refused: Vec<Undelivered> = Vec::new();
        for record in failed {
            let verdict = Verdict::of(record.code);
            let goes_on = refused.last().is_some_and(|last| last.partition == record.partition);
            if verdict != Verdict::Reject || !goes_on {
                self.judge(&mut refused, rejects);
            }
            match verdict {
                Verdict::Reject => {
                    refused.push(record);
                    continue;
                }
                Verdict::Resend => {}
                Verdict::Keep => reason = Some(record.code),
                Verdict::Fail => failure = Some(record.code),
            }
            let record = self.recall(record);
            self.kept.push(record);
        }
        self.judge(&mut refused, rejects);
        self.metas.clear();
        match failure {
            Some(code) => Err(self.failure(code)),
            None => Ok(reason),
        }
    }

    /// Rejects a record that was refused alone. Of several in a row it is not known which is meant, since all records of
    /// a batch may get the code of the one that is bad: their halves are tried apart.
    fn judge(&mut self, refused: &mut Vec<Undelivered>, rejects: &mut Vec<Reject>) {
        if refused.len() > 1 {
            let second = refused.split_off(refused.len() / 2);
            for half in [second, std::mem::take(refused)] {
                let half = half.into_iter().map(|record| self.recall(record)).collect();
                self.suspects.push(half);
            }
        } else if let Some(record) = refused.pop() {
            let (partition, code) = (record.partition, record.code);
            let Record { payload, meta, .. } = self.recall(record);
            let mut reject = self.reject(payload, meta, code);
            reject.error = reject.error.with("partition", partition);
            rejects.push(reject);
        }
    }

    fn recall(&self, record: Undelivered) -> Record {
        let meta = self.metas.get(record.number).copied().unwrap_or(Meta::NONE);
        Record { key: record.key, payload: record.payload, meta }
    }

    fn reject(&self, payload: Vec<u8>, meta: Meta, code: RDKafkaErrorCode) -> Reject {
        let message = match code {
            RDKafkaErrorCode::InvalidRecord => "kafka refuses the record; a compacted topic needs a key",
            RDKafkaErrorCode::InvalidTimestamp => "the record's time is too far from now for this topic",
            _ => "kafka refuses the record",
        };
        let error = self.endpoint.error(ErrorKind::BadRecord, message).with("bytes", payload.len());
        Reject::new(payload, meta, error.caused_by(KafkaError::MessageProduction(code)))
    }

    fn failure(&self, code: RDKafkaErrorCode) -> Error {
        use RDKafkaErrorCode as Code;
        match code {
            Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
                self.endpoint.no_topic().into_kind(ErrorKind::Failed)
            }
            Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => {
                let message = "the cluster does not allow this client to write to the topic; grant it WRITE and \
                               IDEMPOTENT_WRITE";
                self.endpoint.error(ErrorKind::Failed, message)
            }
            code => self.endpoint.client_error("writing", KafkaError::MessageProduction(code)),
        }
    }
}

#[async_trait]
impl Sink<ByteBatch> for Writer {
    async fn write(&mut self, batch: &ByteBatch, rejects: &mut Vec<Reject>) -> Result<()> {
        let idle = self.producer.in_flight_count() == 0;
        if idle || self.metas.len() > MAX_METAS || self.producer.client().context().has_failed() {
            self.settle(rejects).await?;
            self.resend_kept(rejects).await?;
        }
        let times = self.limits.times();
        for index in 0..batch.len() {
            let (key, payload, meta) = (batch.key(index), batch.payload(index), batch.meta(index));
            match self.limits.refusal(key, meta.timestamp, times) {
                Some(code) => rejects.push(self.reject(payload.to_vec(), meta, code)),
                None => self.send(key, payload, meta, rejects).await?,
            }
        }
        Ok(())
    }

    /// Takes as long as the delivery timeout when the cluster does not answer, then fails with `Unavailable` and keeps
    /// what was not delivered; call it again.
    async fn flush(&mut self, rejects: &mut Vec<Reject>) -> Result<()> {
        loop {
            self.resend_kept(rejects).await?;
            if let Some(code) = self.settle(rejects).await? {
                let message = "the cluster did not take all records within `delivery_timeout`; they are kept";
                let error = self.endpoint.error(ErrorKind::Unavailable, message);
                let cause = KafkaError::MessageProduction(code);
                return Err(error.with("records", self.kept.len()).caused_by(cause));
            }
            if self.kept.is_empty() {
                self.producer.client().context().outage.over();
                return Ok(());
            }
        }
    }
}
