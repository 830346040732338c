//! The topics: the input is written once, an output is made for each run.

use std::cell::Cell;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tokio::runtime::Runtime;

use super::event::Event;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Where the records are, and where copies of them go.
pub(crate) struct Topics {
    pub(crate) broker: String,
    pub(crate) input: String,
    pub(crate) records: u64,
    admin: AdminClient<DefaultClientContext>,
    runtime: Runtime,
    outputs: Cell<u32>,
}

impl Topics {
    pub(crate) fn new(broker: &str, records: u64) -> Result<Self> {
        let admin = client(broker).create()?;
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let input = format!("flare-bench-json-{records}");
        Ok(Self { broker: broker.to_owned(), input, records, admin, runtime, outputs: Cell::new(0) })
    }

    /// Writes the input, unless it is there.
    pub(crate) fn load(&self) -> Result<()> {
        self.create(&self.input)?;
        let there = self.length(&self.input)?;
        ensure!(there <= self.records, "the topic {} holds something else", self.input);
        let producer: BaseProducer = client(&self.broker).set("linger.ms", "20").create()?;
        for number in there..self.records {
            let json = Event::to_json(number)?;
            let mut record = BaseRecord::<(), [u8]>::to(&self.input).payload(&json);
            while let Err((error, again)) = producer.send(record) {
                let full = error == KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
                ensure!(full, "the input cannot be written: {error}");
                producer.poll(Duration::from_millis(10));
                record = again;
            }
        }
        producer.flush(TIMEOUT)?;
        let there = self.length(&self.input)?;
        ensure!(there == self.records, "the topic {} holds {there} records", self.input);
        Ok(())
    }

    /// An empty topic.
    pub(crate) fn create_output(&self) -> Result<String> {
        self.outputs.set(self.outputs.get() + 1);
        let topic = format!("flare-bench-output-{}-{}", std::process::id(), self.outputs.get());
        self.create(&topic)?;
        self.length(&topic)?;
        Ok(topic)
    }

    pub(crate) fn delete(&self, topic: &str) -> Result<()> {
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let deleted = self.runtime.block_on(self.admin.delete_topics(&[topic], &options))?;
        let outcome = deleted.into_iter().next().context("no answer about the topic")?;
        outcome.map(drop).map_err(|(topic, code)| anyhow::anyhow!("{topic} cannot be deleted: {code}"))
    }

    fn create(&self, topic: &str) -> Result<()> {
        // Outputs would fill the disk if they stayed for the broker's usual minute.
        let new = NewTopic::new(topic, 1, TopicReplication::Fixed(1)).set("file.delete.delay.ms", "500");
        let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
        let created = self.runtime.block_on(self.admin.create_topics(&[new], &options))?;
        match created.into_iter().next().context("no answer about the topic")? {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => Ok(()),
            Err((topic, code)) => Err(anyhow::anyhow!("{topic} cannot be created: {code}")),
        }
    }

    /// Number of records in a topic; waits until it can be asked.
    fn length(&self, topic: &str) -> Result<u64> {
        let consumer: BaseConsumer = client(&self.broker).create()?;
        let started = Instant::now();
        loop {
            match consumer.fetch_watermarks(topic, 0, Duration::from_secs(5)) {
                Ok((low, high)) => return Ok(u64::try_from(high - low)?),
                Err(error) => ensure!(started.elapsed() < TIMEOUT, "{topic}: {error}"),
            }
            pause();
        }
    }
}

fn client(broker: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker);
    config
}

#[expect(clippy::disallowed_methods, reason = "no runtime runs on this thread")]
fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}
