//! Writes to a topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::StreamConsumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};

use super::client::{Endpoint, OWNED_BY_SINK, Shared, has_feature};
use super::config::{Compression, Partitioner, SinkSettings};
use super::deliveries::Deliveries;
use super::events::SourceEvents;
use super::limits::Limits;
use super::offsets::Topic;
use super::source::everything;
use super::writer::{Producer, Writer};
use crate::api::{
    ByteBatch, Capability, CreateSink, Opening, ReadBack, Sink, SinkConnector, SinkContext, SinkFactory,
};
use crate::config::{Choice, Setting, Settings};
use crate::error::{Error, ErrorKind, Result};

/// Makes Kafka sinks.
pub(crate) struct KafkaSinks;

impl SinkConnector for KafkaSinks {
    fn capability(&self) -> Capability {
        Capability { batch: 0, keys: true, ..Capability::NONE }
    }

    fn settings(&self) -> &'static [Setting] {
        SinkSettings::ALL
    }

    fn open(&self, opening: &mut Opening<'_>, _subtasks: usize) -> Option<SinkFactory> {
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

    fn read_back(&self, opening: &mut Opening<'_>) -> Option<ReadBack> {
        let settings: SinkSettings = opening.settings()?;
        let none = BTreeMap::new();
        let endpoint = Endpoint::open(opening, &settings.cluster, &settings.topic, &none, OWNED_BY_SINK)?;
        Some(ReadBack::Bytes(everything(endpoint, format!("{}-dirty", opening.job))))
    }
}

struct KafkaSinkFactory {
    endpoint: Endpoint,
    settings: SinkSettings,
}

impl KafkaSinkFactory {
    async fn producer(&self, limits: &Limits) -> Result<Shared<Producer>> {
        let settings = &self.settings;
        let millis = |duration: Duration| (duration.as_secs_f64() * 1e3).to_string();
        let (linger, timeout) = (millis(settings.linger), settings.delivery_timeout.as_millis().to_string());
        // A batch that is too large is refused with all its records, so only a record alone may exceed the limit.
        let limits = limits.bytes.map(|bytes| bytes.clamp(1000, 1_000_000_000));
        let limits = limits.map(|bytes| (bytes.to_string(), bytes.min(1_000_000).to_string()));
        let mut defaults = vec![
            ("enable.idempotence", "true"),
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
        self.producer(&Limits::default()).await.map(drop)
    }

    async fn create(&self, cx: SinkContext) -> Result<Box<dyn Sink<ByteBatch>>> {
        let limits = Limits::ask(&self.endpoint).await;
        let producer = self.producer(&limits).await?;
        let resent = cx.metrics.counter(&cx.operator.0, "resent");
        Ok(Box::new(Writer::new(producer, self.endpoint.clone(), self.headers(), limits, resent)))
    }
}

fn name_of<C: Choice>(choice: C, names: &'static [(&'static str, C)]) -> &'static str {
    names.iter().find(|(_, known)| *known == choice).map_or("", |(name, _)| *name)
}
