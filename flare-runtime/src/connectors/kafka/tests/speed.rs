//! Records a second through source and sink, beside a bare client loop: `FLARE_TEST_KAFKA_SPEED=records`, in release.

use std::time::Instant;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::*;

const PARTITIONS: i32 = 2;

/// Touches each payload once, as a parser would.
struct Touched {
    count: usize,
    sum: u64,
    before: usize,
}

impl Payloads for Touched {
    fn push(&mut self, payload: &[u8], _meta: Meta) {
        self.count += 1;
        self.sum += payload.len() as u64;
    }

    fn reject(&mut self, _payload: &[u8], _meta: Meta, error: Error) {
        panic!("nothing is rejected: {error}");
    }

    fn is_full(&self) -> bool {
        self.count - self.before >= 4096
    }

    fn is_empty(&self) -> bool {
        self.count == self.before
    }
}

/// A measurement under way: wall clock, and the processor time of this process where `/proc` tells it.
struct Running {
    started: Instant,
    ticks: u64,
}

#[derive(Clone, Copy)]
struct Rate {
    /// Millions of records a second.
    wall: f64,
    /// Processor time, nanoseconds a record.
    cpu: f64,
}

impl Running {
    fn start() -> Self {
        Self { started: Instant::now(), ticks: ticks() }
    }

    fn rate(&self, records: usize) -> Rate {
        let records = records as f64;
        let cpu = (ticks() - self.ticks) as f64 * 1e7 / records;
        Rate { wall: records / self.started.elapsed().as_secs_f64() / 1e6, cpu }
    }
}

/// Hundredths of a second of processor time.
fn ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

const ROUNDS: usize = 5;

fn report(what: &str, rates: &[Rate]) {
    let median = |part: fn(&Rate) -> f64| {
        let mut parts: Vec<_> = rates.iter().map(part).collect();
        parts.sort_by(f64::total_cmp);
        (parts[0], parts[parts.len() / 2], parts[parts.len() - 1])
    };
    let ((low, wall, high), cpu) = (median(|rate| rate.wall), median(|rate| rate.cpu).1);
    println!("{wall:.2} M/s ({low:.2} to {high:.2}), {cpu:4.0} ns cpu a record: {what}");
}

async fn write(fixture: &Fixture, records: usize, settings: &str) -> Rate {
    let mut sink = fixture.sink(settings).create(sink_context()).await.expect("created");
    let mut batch = ByteBatch::default();
    for index in 0..4096 {
        batch.push(b"", &[b'x'; 200], Meta { offset: index, ..Meta::NONE });
    }
    let mut rejects = Vec::new();
    let running = Running::start();
    for _ in 0..records / 4096 {
        sink.write(&batch, &mut rejects).await.expect("written");
    }
    sink.flush(&mut rejects).await.expect("flushed");
    running.rate(records)
}

fn write_bare(fixture: &Fixture, records: usize, properties: &[(&str, &str)]) -> Rate {
    let mut config = fixture.client();
    config.set("enable.idempotence", "true");
    for (name, value) in properties {
        config.set(*name, *value);
    }
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().expect("a producer");
    let running = Running::start();
    for _ in 0..records {
        let payload = [b'x'; 200];
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&fixture.topic).payload(&payload);
        while let Err((_, again)) = producer.send(record) {
            std::thread::sleep(Duration::from_micros(200));
            record = again;
        }
    }
    while producer.in_flight_count() > 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    running.rate(records)
}

/// How long a small batch takes to be written and flushed.
async fn latency(fixture: &Fixture) -> Duration {
    let mut sink = fixture.sink("").create(sink_context()).await.expect("created");
    let mut batch = ByteBatch::default();
    batch.push(b"", &[b'x'; 200], Meta::NONE);
    let mut taken = Vec::new();
    for _ in 0..100 {
        let started = Instant::now();
        sink.write(&batch, &mut Vec::new()).await.expect("written");
        sink.flush(&mut Vec::new()).await.expect("flushed");
        taken.push(started.elapsed());
    }
    taken.sort();
    taken[50]
}

async fn read(fixture: &Fixture, settings: &str) -> Rate {
    let settings = format!("start = \"earliest\"\nend = \"latest\"\n{settings}");
    let mut source = create(fixture.source(&settings).as_ref()).await;
    let mut touched = Touched { count: 0, sum: 0, before: 0 };
    source.read(&mut touched).await.expect("readable");
    touched.before = touched.count;
    let running = Running::start();
    while source.read(&mut touched).await.expect("readable") == Progress::More {
        touched.before = touched.count;
    }
    assert_eq!(touched.sum, 200 * touched.count as u64);
    running.rate(touched.count)
}

fn read_bare(fixture: &Fixture, records: usize, properties: &[(&str, &str)]) -> Rate {
    let mut config = fixture.client();
    config.set("group.id", "bare").set("enable.auto.commit", "false");
    for (name, value) in properties {
        config.set(*name, *value);
    }
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(&fixture.topic, partition, Offset::Beginning).expect("added");
    }
    consumer.assign(&list).expect("assigned");
    let mut running = Running::start();
    let (mut count, mut sum) = (0, 0);
    while count < records {
        if count == 0 {
            running = Running::start();
        }
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            count += 1;
            sum += message.payload().map_or(0, <[u8]>::len);
        }
    }
    assert_eq!(sum, 200 * count);
    running.rate(count)
}

#[tokio::test(flavor = "multi_thread")]
async fn prints_how_fast_it_reads_and_writes() {
    let Ok(records) = std::env::var("FLARE_TEST_KAFKA_SPEED") else {
        println!("skipped: FLARE_TEST_KAFKA_SPEED is not set");
        return;
    };
    let records: usize = records.parse().expect("a number of records");
    let records = records / 4096 * 4096;
    let Some(fixture) = Fixture::new(PARTITIONS).await else { return };
    let property = |name: &str, value: &str| format!("properties = {{ \"{name}\" = \"{value}\" }}");
    let writes = [
        String::new(),
        "linger = \"20ms\"".to_owned(),
        "compression = \"lz4\"".to_owned(),
        property("batch.num.messages", "50000"),
        property("queue.buffering.max.messages", "500000"),
        property("sticky.partitioning.linger.ms", "50"),
        property("enable.idempotence", "false"),
    ];
    let mut rates = vec![Vec::new(); writes.len() + 2];
    for round in 0..=ROUNDS {
        for (settings, rates) in writes.iter().zip(&mut rates) {
            let fixture = Fixture::new(PARTITIONS).await.expect("a topic");
            let rate = write(&fixture, records, settings).await;
            rates.extend((round > 0).then_some(rate));
        }
        for (only_error, rates) in ["true", "false"].iter().zip(&mut rates[writes.len()..]) {
            let fixture = Fixture::new(PARTITIONS).await.expect("a topic");
            let rate = write_bare(&fixture, records, &[("delivery.report.only.error", only_error)]);
            rates.extend((round > 0).then_some(rate));
        }
    }
    let bare = ["bare, only errors reported", "bare, all reported"].map(str::to_owned);
    for (what, rates) in writes.iter().chain(&bare).zip(rates) {
        report(&format!("write {what}"), &rates);
    }
    println!("{:?} to write and flush one record", latency(&fixture).await);

    let fixture = Fixture::new(PARTITIONS).await.expect("a topic");
    write(&fixture, records, "").await;
    let reads = [
        String::new(),
        property("check.crcs", "false"),
        property("queued.min.messages", "30000"),
        property("queued.max.messages.kbytes", "16384"),
        property("fetch.queue.backoff.ms", "1"),
        property("fetch.queue.backoff.ms", "1000"),
    ];
    let mut rates = vec![Vec::new(); reads.len() + 2];
    for _ in 0..ROUNDS {
        for (settings, rates) in reads.iter().zip(&mut rates) {
            rates.push(read(&fixture, settings).await);
        }
        for (backoff, rates) in ["5", "1000"].iter().zip(&mut rates[reads.len()..]) {
            rates.push(read_bare(&fixture, records, &[("fetch.queue.backoff.ms", backoff)]));
        }
    }
    let bare = ["bare, back-off 5 ms", "bare, back-off 1 s"].map(str::to_owned);
    for (what, rates) in reads.iter().chain(&bare).zip(rates) {
        report(&format!("read {what}"), &rates);
    }
}
