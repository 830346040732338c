//! Round trips, refused records, outages.

use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Headers as _;

use super::*;
use crate::error::ErrorKind;
use crate::model::{Reject, SplitId, Timestamp};

async fn create_sink(fixture: &Fixture, settings: &str) -> Box<dyn Sink<ByteBatch>> {
    let factory = fixture.sink(settings);
    factory.check().await.expect("there");
    factory.create(sink_context()).await.expect("created")
}

fn meta(offset: i64) -> Meta {
    Meta { timestamp: Timestamp::from_millis(1_700_000_000_000 + offset), split: SplitId(3), offset }
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_keys_payloads_headers_and_times() {
    let Some(fixture) = Fixture::new(1).await else { return };
    let mut sink = create_sink(&fixture, "headers = { origin = \"flare\" }\ncompression = \"lz4\"").await;
    let mut batch = ByteBatch::default();
    batch.push(b"k", b"one", meta(1));
    batch.push(b"", b"", Meta::NONE);
    let mut rejects = Vec::new();
    sink.write(&batch, &mut rejects).await.expect("written");
    sink.flush(&mut rejects).await.expect("flushed");
    assert!(rejects.is_empty());
    let consumer: BaseConsumer = fixture.client().set("group.id", "g").create().expect("a consumer");
    let mut list = rdkafka::TopicPartitionList::new();
    list.add_partition_offset(&fixture.topic, 0, rdkafka::Offset::Beginning).expect("added");
    consumer.assign(&list).expect("assigned");
    let next = || consumer.poll(Duration::from_secs(10)).expect("a record").expect("no error");
    let first = next();
    assert_eq!((first.key(), first.payload()), (Some(&b"k"[..]), Some(&b"one"[..])));
    assert_eq!(first.timestamp().to_millis(), Some(1_700_000_000_001));
    let header = first.headers().expect("headers").get(0);
    assert_eq!((header.key, header.value), ("origin", Some(&b"flare"[..])));
    let second = next();
    assert_eq!((second.key(), second.payload()), (None, Some(&b""[..])));
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_only_records_that_are_too_large() {
    let alive = Some(BROKER.read().await);
    // Half of what the client would batch, so that a batch must respect the topic's own limit.
    let Some(fixture) = Fixture::with(1, &[("max.message.bytes", "20000")], alive).await else { return };
    for settings in ["", "[sink.orders.properties]\n\"message.max.bytes\" = 1000000"] {
        let mut sink = create_sink(&fixture, settings).await;
        let mut batch = ByteBatch::default();
        for index in 0..300 {
            let size = if index % 100 == 50 { 30_000 } else { 1000 };
            batch.push(b"", &vec![b'x'; size], meta(index));
        }
        let mut rejects: Vec<Reject> = Vec::new();
        sink.write(&batch, &mut rejects).await.expect("written");
        sink.flush(&mut rejects).await.expect("flushed");
        let offsets: Vec<_> = rejects.iter().map(|reject| reject.meta).collect();
        assert_eq!(offsets, [meta(50), meta(150), meta(250)]);
        assert!(rejects.iter().all(|reject| reject.raw.len() == 30_000));
        assert_eq!(rejects[0].error.kind(), ErrorKind::BadRecord);
    }
    assert_eq!(fixture.content().await.len(), 2 * 297);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_only_records_that_the_broker_finds_invalid() {
    let alive = Some(BROKER.read().await);
    // A compacted topic refuses records without a key, one by one.
    let Some(fixture) = Fixture::with(1, &[("cleanup.policy", "compact")], alive).await else { return };
    let mut sink = create_sink(&fixture, "linger = \"100ms\"").await;
    for bad in [vec![10, 40, 70], vec![33]] {
        let mut batch = ByteBatch::default();
        for index in 0..100 {
            let key = if bad.contains(&index) { String::new() } else { index.to_string() };
            batch.push(key.as_bytes(), b"payload", meta(index));
        }
        let mut rejects: Vec<Reject> = Vec::new();
        sink.write(&batch, &mut rejects).await.expect("written");
        sink.flush(&mut rejects).await.expect("flushed");
        let mut rejected: Vec<_> = rejects.iter().map(|reject| reject.meta.offset).collect();
        rejected.sort_unstable();
        assert_eq!(rejected, bad);
    }
    let times = fixture.content().await.into_iter().map(|(_, meta)| meta.timestamp);
    let mut expected: Vec<_> = (0..100).chain(0..100).map(|index| meta(index).timestamp).collect();
    expected.sort_unstable();
    for missing in [10, 33, 40, 70] {
        let place = expected.iter().position(|time| *time == meta(missing).timestamp).expect("there");
        expected.remove(place);
    }
    let mut times: Vec<_> = times.collect();
    times.sort_unstable();
    assert_eq!(times, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_when_the_producer_is_full() {
    let Some(fixture) = Fixture::new(3).await else { return };
    let settings = "[sink.orders.properties]\n\"queue.buffering.max.messages\" = 100";
    let mut sink = create_sink(&fixture, settings).await;
    let mut rejects = Vec::new();
    let mut batch = ByteBatch::default();
    for index in 0..5000 {
        batch.push(format!("{index}").as_bytes(), b"payload", meta(index));
    }
    sink.write(&batch, &mut rejects).await.expect("written");
    sink.flush(&mut rejects).await.expect("flushed");
    assert_eq!((fixture.content().await.len(), rejects.len()), (5000, 0));
}

/// Needs `FLARE_TEST_KAFKA_CTL`: a program that knows `kill9`, `start` and `ready`.
#[tokio::test(flavor = "multi_thread")]
async fn loses_nothing_when_the_broker_is_killed() {
    let Ok(control) = std::env::var("FLARE_TEST_KAFKA_CTL") else {
        println!("skipped: FLARE_TEST_KAFKA_CTL is not set");
        return;
    };
    let _alone = BROKER.write().await;
    let Some(fixture) = Fixture::with(3, &[], None).await else { return };
    let mut sink = create_sink(&fixture, "delivery_timeout = \"3s\"").await;
    let killing = tokio::task::spawn_blocking(move || {
        let run = |command: &str| {
            let status = std::process::Command::new(&control).arg(command).status().expect("runs");
            assert!(status.success(), "{command}");
        };
        for _ in 0..2 {
            std::thread::sleep(Duration::from_millis(1500));
            run("kill9");
            std::thread::sleep(Duration::from_secs(6));
            run("start");
            run("ready");
        }
    });
    let (mut written, mut failures, mut rejects) = (0, 0, Vec::new());
    while !killing.is_finished() {
        let mut batch = ByteBatch::default();
        for index in written..written + 500 {
            batch.push(b"", index.to_string().as_bytes(), meta(index));
        }
        while let Err(error) = sink.write(&batch, &mut rejects).await {
            assert!(error.is_retryable(), "{error:?}");
            failures += 1;
        }
        written += 500;
        while let Err(error) = sink.flush(&mut rejects).await {
            assert!(error.is_retryable(), "{error:?}");
            failures += 1;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    killing.await.expect("killed and started");
    assert!(rejects.is_empty());
    let mut found: Vec<i64> =
        fixture.payloads().await.iter().map(|text| text.parse().expect("a number")).collect();
    let total = found.len();
    found.sort_unstable();
    found.dedup();
    println!("{written} written, {total} found, {failures} calls failed");
    assert!(failures > 0, "the outage was longer than the delivery timeout");
    assert_eq!(found, (0..written).collect::<Vec<_>>());
}
