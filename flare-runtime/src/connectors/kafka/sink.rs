//! Writes to a topic.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::{FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::StreamConsumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};

use super::client::{Endpoint, OWNED_BY_SINK, REQUEST_TIMEOUT, Shared, has_feature};
use super::config::{Compression, Partitioner, SinkSettings};
use super::deliveries::{Deliveries, Verdict};
use super::events::SourceEvents;
use super::offsets::Topic;
use crate::api::{
    ByteBatch, Capability, Counter, CreateSink, Opening, Sink, SinkBatch, SinkConnector, SinkContext,
    SinkFactory,
};
use crate::config::{Choice, Setting, Settings};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Meta, Reject, Timestamp};

type Producer = ThreadedProducer<Deliveries>;

/// How long to wait before looking again whether the producer has room, or is empty.
const PAUSE: Duration = Duration::from_millis(1);
/// How many records' metadata may pile up before the producer is drained, 24 MB; a drain takes some milliseconds.
const MAX_METAS: usize = 1_000_000;

/// Makes Kafka sinks.
pub(crate) struct KafkaSinks;

impl SinkConnector for KafkaSinks {
    fn capability(&self) -> Capability {
        Capability { batch: 4096, ..Capability::NONE }
    }

    fn settings(&self) -> &'static [Setting] {
        SinkSettings::ALL
    }

    fn open(&self, opening: &mut Opening<'_>) -> Option<SinkFactory> {
        let settings: SinkSettings = opening.settings()?;
        let section = opening.binding.section.clone();
        let before = opening.problems.len();
        settings.check(&section, opening.problems);
        if settings.compression == Compression::Zstd && !has_feature("zstd") {
            let message = "this build of Flare has no zstd compression for Kafka";
            let remedy = "use \"lz4\", or build rdkafka with its feature `zstd`";
            opening.problems.add("unsupported", format!("{section}.compression"), message, remedy);
        }
        let endpoint =
            Endpoint::open(opening, &settings.cluster, &settings.topic, &settings.properties, OWNED_BY_SINK)?;
        let factory = KafkaSinkFactory { endpoint, settings };
        (opening.problems.len() == before).then(|| SinkFactory::Bytes(Arc::new(factory)))
    }
}

struct KafkaSinkFactory {
    endpoint: Endpoint,
    settings: SinkSettings,
}

impl KafkaSinkFactory {
    async fn producer(&self) -> Result<Shared<Producer>> {
        let settings = &self.settings;
        let millis = |duration: Duration| duration.as_millis().to_string();
        let (linger, timeout) = (millis(settings.linger), millis(settings.delivery_timeout));
        let limits = self.limits().await;
        let mut defaults = vec![
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("queue.buffering.max.messages", "100000"),
            ("queue.buffering.max.kbytes", "131072"),
        ];
        if let Some((record, batch)) = &limits {
            defaults.extend([("message.max.bytes", record.as_str()), ("batch.size", batch.as_str())]);
        }
        let fixed = [
            ("partitioner", name_of(settings.partitioner, Partitioner::NAMES)),
            ("compression.type", name_of(settings.compression, Compression::NAMES)),
            ("linger.ms", linger.as_str()),
            ("message.timeout.ms", timeout.as_str()),
            ("delivery.report.only.error", "true"),
        ];
        let config = self.endpoint.config(&defaults, &fixed);
        let context = Deliveries::new(&self.endpoint.cluster, &self.endpoint.topic);
        let producer = Producer::from_config_and_context(&config, context);
        producer.map(Shared::new).map_err(|error| self.refused(error))
    }

    /// The largest record and the largest batch that the topic takes, if it says so.
    ///
    /// A batch that is too large is refused with all its records, so that none may be larger than the topic allows
    /// unless it is one record alone.
    async fn limits(&self) -> Option<(String, String)> {
        let config = self.endpoint.config(&[], &[]);
        let admin = Shared::new(AdminClient::<DefaultClientContext>::from_config(&config).ok()?);
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        let topic = [ResourceSpecifier::Topic(&self.endpoint.topic)];
        let answer = admin.describe_configs(&topic, &options).await;
        let resource = answer.ok()?.into_iter().next()?.ok()?;
        let bytes: u64 = resource.get("max.message.bytes")?.value.as_ref()?.parse().ok()?;
        let bytes = bytes.clamp(1000, 1_000_000_000);
        Some((bytes.to_string(), bytes.min(1_000_000).to_string()))
    }

    fn refused(&self, error: KafkaError) -> Error {
        let message = "the client refuses its properties; correct `properties` of the sink or the cluster";
        self.endpoint.error(ErrorKind::Config, message).caused_by(error)
    }

    fn headers(&self) -> Option<OwnedHeaders> {
        let mut headers = self.settings.headers.iter().peekable();
        headers.peek()?;
        let empty = OwnedHeaders::new_with_capacity(self.settings.headers.len());
        Some(headers.fold(empty, |headers, (key, value)| headers.insert(Header { key, value: Some(value) })))
    }
}

#[async_trait]
impl CreateSink<ByteBatch> for KafkaSinkFactory {
    fn describe(&self) -> String {
        format!("kafka topic {}", self.endpoint.topic)
    }

    async fn check(&self) -> Result<()> {
        // Asked by a consumer, since a producer's question would create the topic on some clusters.
        let config = self.endpoint.config(&[], &[]);
        let events = SourceEvents::new(&self.endpoint.cluster, &self.endpoint.topic);
        let consumer = StreamConsumer::from_config_and_context(&config, events);
        let consumer = Shared::new(consumer.map_err(|error| self.refused(error))?);
        let (handle, endpoint) = (consumer.handle(), self.endpoint.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let topic = Topic { consumer: &handle, endpoint: &endpoint };
            topic.partition_count().map(drop)
        });
        let stopped =
            |error| self.endpoint.error(ErrorKind::Failed, "the question was stopped").caused_by(error);
        asked.await.map_err(stopped)??;
        self.producer().await.map(drop)
    }

    async fn create(&self, cx: SinkContext) -> Result<Box<dyn Sink<ByteBatch>>> {
        Ok(Box::new(KafkaSink {
            producer: self.producer().await?,
            endpoint: self.endpoint.clone(),
            headers: self.headers(),
            metas: Vec::new(),
            kept: Vec::new(),
            resent: cx.metrics.counter(&cx.operator.0, "resent"),
        }))
    }
}

fn name_of<C: Choice>(choice: C, names: &'static [(&'static str, C)]) -> &'static str {
    names.iter().find(|(_, known)| *known == choice).map_or("", |(name, _)| *name)
}

/// Writes at least once, in order for each key as long as no record exceeds the delivery timeout.
///
/// Records that exceed it are kept and sent again by the next call, so that a flush that is repeated until it succeeds
/// loses none; records written meanwhile may then stand before them.
struct KafkaSink {
    producer: Shared<Producer>,
    endpoint: Endpoint,
    headers: Option<OwnedHeaders>,
    /// Metadata of the records sent since the producer was last seen empty; a record's number is its place here. Only
    /// failures are reported, so that no entry can be dropped before.
    metas: Vec<Meta>,
    /// Not delivered so far, to be sent again.
    kept: Vec<Kept>,
    /// Counts records sent again.
    resent: Counter,
}

/// A record that the cluster may take later.
struct Kept {
    key: Vec<u8>,
    payload: Vec<u8>,
    meta: Meta,
}

impl KafkaSink {
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

    /// Sends what was kept again.
    async fn send_kept(&mut self, rejects: &mut Vec<Reject>) -> Result<()> {
        self.resent.add(self.kept.len() as u64);
        let mut kept = std::mem::take(&mut self.kept).into_iter();
        while let Some(record) = kept.next() {
            if let Err(error) = self.send(&record.key, &record.payload, record.meta, rejects).await {
                self.kept.push(record);
                self.kept.extend(kept);
                return Err(error);
            }
        }
        Ok(())
    }

    fn reject(&self, payload: Vec<u8>, meta: Meta, code: RDKafkaErrorCode) -> Reject {
        let error = self.endpoint.error(ErrorKind::BadRecord, "kafka refuses the record");
        let error = error.with("bytes", payload.len()).caused_by(KafkaError::MessageProduction(code));
        Reject::new(payload, meta, error)
    }

    /// Sorts what was not delivered: into `rejects`, or into what is sent again. Gives back the last reason why
    /// something has to be kept until the cluster is back.
    fn sort_failed(&mut self, rejects: &mut Vec<Reject>) -> Result<Option<RDKafkaErrorCode>> {
        let mut reason = None;
        let mut failure = None;
        for record in self.producer.client().context().take_failed() {
            let meta = self.metas.get(record.number).copied().unwrap_or(Meta::NONE);
            match Verdict::of(record.code) {
                Verdict::Reject => {
                    let mut reject = self.reject(record.payload, meta, record.code);
                    reject.error = reject.error.with("partition", record.partition);
                    rejects.push(reject);
                    continue;
                }
                Verdict::Resend => {}
                Verdict::Keep => reason = Some(record.code),
                Verdict::Fail => failure = Some(record.code),
            }
            self.kept.push(Kept { key: record.key, payload: record.payload, meta });
        }
        match failure {
            Some(code) => Err(self.failure(code)),
            None => Ok(reason),
        }
    }

    /// Waits until the producer holds no record any more, then as [`KafkaSink::sort_failed`].
    async fn drain(&mut self, rejects: &mut Vec<Reject>) -> Result<Option<RDKafkaErrorCode>> {
        while self.producer.in_flight_count() > 0 {
            tokio::time::sleep(PAUSE).await;
        }
        let reason = self.sort_failed(rejects);
        self.metas.clear();
        match self.producer.client().fatal_error() {
            Some((code, text)) => Err(self.failure(code).with("reason", text)),
            None => reason,
        }
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
impl Sink<ByteBatch> for KafkaSink {
    async fn write(&mut self, batch: &ByteBatch, rejects: &mut Vec<Reject>) -> Result<()> {
        if self.producer.in_flight_count() == 0 || self.metas.len() > MAX_METAS {
            self.drain(rejects).await?;
        } else {
            self.sort_failed(rejects)?;
        }
        self.send_kept(rejects).await?;
        for index in 0..batch.len() {
            self.send(batch.key(index), batch.payload(index), batch.meta(index), rejects).await?;
        }
        Ok(())
    }

    /// Takes as long as the delivery timeout when the cluster does not answer, then fails with `Unavailable` and keeps
    /// what was not delivered; call it again.
    async fn flush(&mut self, rejects: &mut Vec<Reject>) -> Result<()> {
        loop {
            self.send_kept(rejects).await?;
            if let Some(code) = self.drain(rejects).await? {
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
