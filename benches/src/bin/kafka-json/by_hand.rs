//! The work as one loop written by hand, under the client settings that Flare uses.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use flare_benches::{Moment, Run};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

use super::event::Event;
use super::topics::Topics;

/// A library for JSON.
pub(crate) trait Json {
    fn read(payload: &[u8]) -> Result<Event>;
    fn write(event: &Event, payload: &mut Vec<u8>) -> Result<()>;
}

pub(crate) struct SerdeJson;

impl Json for SerdeJson {
    fn read(payload: &[u8]) -> Result<Event> {
        Ok(serde_json::from_slice(payload)?)
    }

    fn write(event: &Event, payload: &mut Vec<u8>) -> Result<()> {
        Ok(serde_json::to_writer(payload, event)?)
    }
}

pub(crate) struct SonicRs;

impl Json for SonicRs {
    fn read(payload: &[u8]) -> Result<Event> {
        Ok(sonic_rs::from_slice(payload)?)
    }

    fn write(event: &Event, payload: &mut Vec<u8>) -> Result<()> {
        Ok(sonic_rs::to_writer(payload, event)?)
    }
}

pub(crate) fn run<J: Json>(topics: &Topics) -> Result<Run> {
    let output = topics.create_output()?;
    let (consumer, producer) = (consumer(topics)?, producer(topics)?);
    let mut started = None;
    let (mut records, mut checksum, mut json) = (0, 0_u64, Vec::new());
    while records < topics.records {
        let message = match consumer.poll(Duration::from_secs(10)) {
            None => bail!("no record for ten seconds"),
            Some(Err(KafkaError::PartitionEOF(_))) => continue,
            Some(message) => message?,
        };
        started.get_or_insert_with(Moment::now);
        records += 1;
        let event = J::read(message.payload().context("a record without a payload")?)?;
        if event.is_kept() {
            checksum = checksum.wrapping_add(event.id);
            json.clear();
            J::write(&event, &mut json)?;
            send(&producer, &output, &json, message.timestamp().to_millis())?;
        }
    }
    producer.flush(Duration::from_secs(60))?;
    let span = started.map(Moment::elapsed).unwrap_or_default();
    topics.delete(&output)?;
    Ok(Run { records, checksum, span })
}

fn send(producer: &BaseProducer, topic: &str, payload: &[u8], timestamp: Option<i64>) -> Result<()> {
    let mut record = BaseRecord::<(), [u8]>::to(topic).payload(payload);
    record.timestamp = timestamp;
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                producer.poll(Duration::from_millis(1));
                record = again;
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

fn consumer(topics: &Topics) -> Result<BaseConsumer> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &topics.broker);
    for (name, value) in [
        ("group.id", "by-hand"),
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        ("enable.partition.eof", "true"),
        ("statistics.interval.ms", "1000"),
        ("check.crcs", "true"),
        ("fetch.queue.backoff.ms", "5"),
        ("queued.min.messages", "100000"),
        ("queued.max.messages.kbytes", "65536"),
    ] {
        config.set(name, value);
    }
    let consumer: BaseConsumer = config.create()?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&topics.input, 0, Offset::Beginning)?;
    consumer.assign(&list)?;
    Ok(consumer)
}

fn producer(topics: &Topics) -> Result<BaseProducer> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &topics.broker);
    for (name, value) in [
        ("enable.idempotence", "true"),
        ("acks", "all"),
        ("queue.buffering.max.messages", "100000"),
        ("queue.buffering.max.kbytes", "131072"),
        ("partitioner", "murmur2_random"),
        ("compression.type", "none"),
        ("linger.ms", "5"),
        ("message.timeout.ms", "120000"),
        ("delivery.report.only.error", "true"),
    ] {
        config.set(name, value);
    }
    Ok(config.create()?)
}
