//! Tests against settings alone, and against a real broker: `FLARE_TEST_KAFKA=host:port`.

#![expect(clippy::disallowed_methods, reason = "tests and bare loops may block their own thread")]

mod reading;
mod settings;
mod speed;
mod writing;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use tokio::sync::{RwLock, RwLockReadGuard};

use super::sink::KafkaSinks;
use super::source::KafkaSources;
use crate::api::{
    Binding, ByteBatch, ByteSource, CreateSink, CreateSource, Metrics, Opening, Payloads, Progress,
    Resources, Sink, SinkConnector, SinkContext, SinkFactory, SourceConnector, SourceContext,
};
use crate::config::{Config, Layer, Problems};
use crate::error::{Error, Result};
use crate::model::{Meta, OperatorId, RowSchema, Splits};

/// Held for reading by every test that needs the broker, for writing by the one that kills it.
static BROKER: RwLock<()> = RwLock::const_new(());

/// A topic of one test.
struct Fixture {
    brokers: String,
    topic: String,
    _alive: Option<RwLockReadGuard<'static, ()>>,
}

impl Fixture {
    /// A new topic; `None` when there is no broker to test with.
    async fn new(partitions: i32) -> Option<Self> {
        let alive = Some(BROKER.read().await);
        Self::with(partitions, &[], alive).await
    }

    async fn with(
        partitions: i32,
        config: &[(&str, &str)],
        alive: Option<RwLockReadGuard<'static, ()>>,
    ) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Ok(brokers) = std::env::var("FLARE_TEST_KAFKA") else {
            assert!(std::env::var("CI").is_err(), "FLARE_TEST_KAFKA is not set, and this is CI");
            println!("skipped: FLARE_TEST_KAFKA is not set");
            return None;
        };
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let topic = format!("flare-{}-{number}", std::process::id());
        let fixture = Self { brokers, topic, _alive: alive };
        let mut topic = NewTopic::new(&fixture.topic, partitions, TopicReplication::Fixed(1));
        for (key, value) in config {
            topic = topic.set(key, value);
        }
        let created = fixture.admin().create_topics([&topic], &AdminOptions::new()).await.expect("answers");
        created.into_iter().next().expect("one topic").expect("created");
        Some(fixture)
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("an admin client")
    }

    async fn add_partitions(&self, count: usize) {
        let partitions = NewPartitions::new(&self.topic, count);
        let added = self.admin().create_partitions([&partitions], &AdminOptions::new()).await;
        added.expect("answers").into_iter().next().expect("one topic").expect("added");
    }

    async fn configure(&self, name: &str, value: &str) {
        let config = AlterConfig::new(ResourceSpecifier::Topic(&self.topic)).set(name, value);
        let altered = self.admin().alter_configs([&config], &AdminOptions::new()).await;
        altered.expect("answers").into_iter().next().expect("one topic").expect("altered");
    }

    /// Writes `count` records to a partition by a bare producer: payloads `p-i`, timestamps `1000 * i`.
    async fn fill(&self, partition: i32, count: i64) {
        self.fill_with(partition, count, None).await;
    }

    /// As [`Fixture::fill`], in one transaction if it has an id.
    async fn fill_with(&self, partition: i32, count: i64, transaction: Option<&str>) {
        let mut config = self.client();
        if let Some(id) = transaction {
            config.set("transactional.id", id);
        }
        let topic = self.topic.clone();
        let transactional = transaction.is_some();
        let written = tokio::task::spawn_blocking(move || {
            let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
            let timeout = Duration::from_secs(20);
            if transactional {
                producer.init_transactions(timeout).expect("initialised");
                producer.begin_transaction().expect("begun");
            }
            for index in 0..count {
                let payload = format!("{partition}-{index}");
                let record: BaseRecord<'_, str, str> = BaseRecord::to(&topic);
                let record = record.partition(partition).payload(&payload).timestamp(1000 * (index + 1));
                producer.send(record).map_err(|(error, _)| error).expect("sent");
            }
            producer.flush(timeout).expect("flushed");
            if transactional {
                producer.commit_transaction(timeout).expect("committed");
            }
        });
        written.await.expect("written");
    }

    /// The source described by `settings`, beside the topic.
    fn source(&self, settings: &str) -> Box<dyn CreateSource> {
        let settings = self.settings("source", settings);
        open_source(&settings).map_err(Problems::into_result).expect("valid settings")
    }

    fn sink(&self, settings: &str) -> Arc<dyn CreateSink<ByteBatch>> {
        let settings = self.settings("sink", settings);
        let opened = open_sink(&settings).map_err(Problems::into_result);
        let Ok(SinkFactory::Bytes(factory)) = opened else { panic!("invalid settings") };
        factory
    }

    fn settings(&self, kind: &str, settings: &str) -> String {
        let (brokers, topic) = (&self.brokers, &self.topic);
        format!("[cluster.kafka]\nbrokers = \"{brokers}\"\n[{kind}.orders]\ntopic = \"{topic}\"\n{settings}")
    }

    /// Everything in the topic, by a source of its own.
    async fn content(&self) -> Vec<Record> {
        let factory = self.source("start = \"earliest\"\nend = \"latest\"");
        let mut source = factory.create(source_context(0, 1)).await.expect("created");
        read_to_end(source.as_mut()).await
    }

    /// As [`Fixture::content`], the payloads alone.
    async fn payloads(&self) -> Vec<String> {
        payloads(&self.content().await)
    }
}

type Record = (Vec<u8>, Meta);

fn payloads(records: &[Record]) -> Vec<String> {
    records.iter().map(|(payload, _)| String::from_utf8(payload.clone()).expect("text")).collect()
}

fn sorted(mut payloads: Vec<String>) -> Vec<String> {
    payloads.sort();
    payloads
}

fn open_source(text: &str) -> Result<Box<dyn CreateSource>, Problems> {
    open(text, "source.orders", |opening| KafkaSources.open(opening))
}

fn open_sink(text: &str) -> Result<SinkFactory, Problems> {
    open(text, "sink.orders", |opening| KafkaSinks.open(opening, 1))
}

fn open<T>(
    text: &str,
    section: &str,
    open: impl FnOnce(&mut Opening<'_>) -> Option<T>,
) -> Result<T, Problems> {
    let file = Layer::text(Path::new("flare.toml"), text).expect("toml");
    let mut config = Config::new(PathBuf::new(), vec![file], std::iter::empty(), None);
    let schema = RowSchema { columns: &[] };
    let binding = Binding { section: section.to_owned(), attribute: None, schema };
    let mut problems = Problems::default();
    let mut opening = Opening {
        binding: &binding,
        job: "test",
        config: &mut config,
        resources: &Resources::default(),
        problems: &mut problems,
        common: &[],
    };
    let opened = open(&mut opening);
    assert_eq!(opened.is_none(), !problems.is_empty(), "either a value or problems: {problems:?}");
    opened.ok_or(problems)
}

fn source_context(index: usize, parallelism: usize) -> SourceContext {
    SourceContext {
        restored: None,
        operator: OperatorId::from("orders"),
        index,
        parallelism,
        splits: Splits::default(),
        metrics: Metrics::default(),
        replay: None,
    }
}

fn sink_context() -> SinkContext {
    SinkContext {
        operator: OperatorId::from("orders"),
        index: 0,
        parallelism: 1,
        metrics: Metrics::default(),
        adds: false,
    }
}

/// Takes payloads up to a limit a read.
#[derive(Default)]
struct Taken {
    records: Vec<Record>,
    before: usize,
    limit: usize,
}

impl Payloads for Taken {
    fn push(&mut self, payload: &[u8], meta: Meta) {
        self.records.push((payload.to_vec(), meta));
    }

    fn reject(&mut self, _payload: &[u8], _meta: Meta, error: Error) {
        panic!("nothing is rejected: {error}");
    }

    fn is_full(&self) -> bool {
        self.records.len() - self.before >= self.limit
    }

    fn is_empty(&self) -> bool {
        self.records.len() == self.before
    }
}

/// Reads until `enough` says so or the source ends.
async fn read_until(source: &mut dyn ByteSource, enough: impl Fn(&[Record]) -> bool) -> Vec<Record> {
    let mut taken = Taken { limit: 100, ..Taken::default() };
    let reading = async {
        while !enough(&taken.records) {
            taken.before = taken.records.len();
            if source.read(&mut taken).await.expect("readable") == Progress::End {
                break;
            }
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(30), reading).await;
    in_time.unwrap_or_else(|_| panic!("still reading after {} records", taken.records.len()));
    taken.records
}

async fn read_to_end(source: &mut dyn ByteSource) -> Vec<Record> {
    read_until(source, |_| false).await
}

async fn create(factory: &dyn CreateSource) -> Box<dyn ByteSource> {
    factory.create(source_context(0, 1)).await.expect("created")
}

fn positions(source: &dyn ByteSource) -> BTreeMap<String, i64> {
    source.positions().0.into_iter().collect()
}
