//! A topic of one test, written and read by bare clients.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use rdkafka::{Message, Offset, TopicPartitionList};

use crate::place::server;

const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct Topic {
    brokers: String,
    pub(crate) name: String,
    partitions: i32,
}

impl Topic {
    /// A new topic; `None` when there is no broker to test with.
    pub(crate) async fn new(partitions: i32, settings: &[(&str, &str)]) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let brokers = server("FLARE_TEST_KAFKA")?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("flare-contract-{}-{number}", std::process::id());
        let topic = Self { brokers, name, partitions };
        let mut new = NewTopic::new(&topic.name, partitions, TopicReplication::Fixed(1));
        for (key, value) in settings {
            new = new.set(key, value);
        }
        let admin: AdminClient<DefaultClientContext> = topic.client().create().unwrap();
        let created = admin.create_topics([&new], &AdminOptions::new()).await.unwrap();
        created.into_iter().next().unwrap().unwrap();
        Some(topic)
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config
    }

    /// The section of the configuration that leads to the broker.
    pub(crate) fn cluster(&self) -> String {
        format!("[cluster.kafka]\nbrokers = \"{}\"\n", self.brokers)
    }

    /// Writes payloads into a partition.
    pub(crate) async fn fill<P: AsRef<[u8]> + Send + 'static>(&self, partition: i32, payloads: Vec<P>) {
        let (config, name) = (self.client(), self.name.clone());
        let written = tokio::task::spawn_blocking(move || {
            let producer: ThreadedProducer<DefaultProducerContext> = config.create().unwrap();
            for payload in &payloads {
                let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&name);
                let record = record.partition(partition).payload(payload.as_ref());
                producer.send(record).map_err(|(error, _)| error).unwrap();
            }
            producer.flush(TIMEOUT).unwrap();
        });
        written.await.unwrap();
    }

    /// How many records lie before the group's committed offsets.
    #[cfg(feature = "mysql")]
    pub(crate) async fn committed(&self, group: &str) -> i64 {
        let (mut config, name, partitions) = (self.client(), self.name.clone(), self.partitions);
        config.set("group.id", group);
        let asked = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = config.create().unwrap();
            let mut asked = TopicPartitionList::new();
            asked.add_partition_range(&name, 0, partitions - 1);
            let committed = consumer.committed_offsets(asked, TIMEOUT).unwrap();
            committed
                .elements()
                .iter()
                .filter_map(|partition| partition.offset().to_raw())
                .filter(|at| *at > 0)
                .sum()
        });
        asked.await.unwrap()
    }

    /// All payloads, those of one partition in their order.
    pub(crate) async fn content(&self) -> Vec<String> {
        let (mut config, name, partitions) = (self.client(), self.name.clone(), self.partitions);
        let read = tokio::task::spawn_blocking(move || {
            config.set("group.id", format!("{name}-outside")).set("enable.auto.commit", "false");
            let consumer: BaseConsumer = config.create().unwrap();
            let mut contents = Vec::new();
            for partition in 0..partitions {
                let (mut at, end) = consumer.fetch_watermarks(&name, partition, TIMEOUT).unwrap();
                let mut assignment = TopicPartitionList::new();
                assignment.add_partition_offset(&name, partition, Offset::Beginning).unwrap();
                consumer.assign(&assignment).unwrap();
                while at < end {
                    let message = consumer.poll(TIMEOUT).expect("there is more").unwrap();
                    at = message.offset() + 1;
                    contents.push(String::from_utf8(message.payload().unwrap().to_vec()).unwrap());
                }
            }
            contents
        });
        read.await.unwrap()
    }
}
