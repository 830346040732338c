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

/// Writes 100 records of which some have no key, and gives back the offsets of those that were turned aside.
async fn rejected_without_key(sink: &mut dyn Sink<ByteBatch>, keyless: &[i64]) -> Vec<i64> {
    let mut batch = ByteBatch::default();
    for index in 0..100 {
        let key = if keyless.contains(&index) { String::new() } else { index.to_string() };
        batch.push(key.as_bytes(), b"payload", meta(index));
    }
    let mut rejects: Vec<Reject> = Vec::new();
    sink.write(&batch, &mut rejects).await.expect("written");
    sink.flush(&mut rejects).await.expect("flushed");
    let mut rejected: Vec<_> = rejects.iter().map(|reject| reject.meta.offset).collect();
    rejected.sort_unstable();
    rejected
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_only_records_that_the_topic_refuses() {
    let Some(fixture) = Fixture::new(1).await else { return };
    let mut early = create_sink(&fixture, "linger = \"100ms\"").await;
    fixture.configure("cleanup.policy", "compact").await;
    let mut late = create_sink(&fixture, "").await;
    // The early sink learns from the broker what the late one knows from the topic's settings.
    for sink in [early.as_mut(), late.as_mut()] {
        for keyless in [vec![10, 40, 41, 70], vec![33], vec![98, 99], vec![]] {
            assert_eq!(rejected_without_key(sink, &keyless).await, keyless);
        }
    }
    let mut times: Vec<_> = fixture.content().await.iter().map(|(_, meta)| meta.timestamp).collect();
    let written = (0..100).flat_map(|index| std::iter::repeat_n(index, 8));
    let mut expected: Vec<_> = written.map(|index| meta(index).timestamp).collect();
    for missing in [10, 33, 40, 41, 70, 98, 99] {
        let place = expected.iter().position(|time| *time == meta(missing).timestamp).expect("there");
        expected.drain(place..place + 2);
    }
    times.sort_unstable();
    assert_eq!(times, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn splits_batches_that_became_too_large() {
    let Some(fixture) = Fixture::new(1).await else { return };
    let mut sink = create_sink(&fixture, "linger = \"100ms\"").await;
    fixture.configure("max.message.bytes", "20000").await;
    let mut batch = ByteBatch::default();
    for index in 0..200 {
        let size = if index == 150 { 30_000 } else { 1000 };
        batch.push(b"", &vec![b'x'; size], meta(index));
    }
    let mut rejects: Vec<Reject> = Vec::new();
    sink.write(&batch, &mut rejects).await.expect("written");
    sink.flush(&mut rejects).await.expect("flushed");
    assert_eq!(rejects.iter().map(|reject| reject.meta).collect::<Vec<_>>(), [meta(150)]);
    assert_eq!(fixture.content().await.len(), 199);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_times_that_the_topic_refuses() {
    let alive = Some(BROKER.read().await);
    let Some(fixture) = Fixture::with(1, &[("message.timestamp.after.max.ms", "60000")], alive).await else {
        return;
    };
    let mut sink = create_sink(&fixture, "").await;
    let mut batch = ByteBatch::default();
    let now = Timestamp::now().as_millis();
    for offset in [0, 3_600_000, 30_000] {
        let timestamp = Timestamp::from_millis(now + offset);
        batch.push(b"", b"payload", Meta { timestamp, split: SplitId(1), offset });
    }
    let mut rejects: Vec<Reject> = Vec::new();
    sink.write(&batch, &mut rejects).await.expect("written");
    sink.flush(&mut rejects).await.expect("flushed");
    assert_eq!(rejects.iter().map(|reject| reject.meta.offset).collect::<Vec<_>>(), [3_600_000]);
    assert!(rejects[0].error.report().contains("too far from now"));
    assert_eq!(fixture.content().await.len(), 2);
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

/// Reads and commits through outages, until told how many records there are and all of them were read. Gives back the
/// offsets by split, and how many commits failed.
async fn read_through(
    fixture: &Fixture,
    mut total: tokio::sync::watch::Receiver<usize>,
) -> (BTreeMap<SplitId, Vec<i64>>, usize) {
    let settings = format!("group = \"{}\"", fixture.topic);
    let mut source = create(fixture.source(&settings).as_ref()).await;
    let mut taken = Taken { limit: 100, ..Taken::default() };
    let (mut commit_at, mut failures) = (tokio::time::Instant::now(), 0);
    while taken.records.len() < *total.borrow_and_update() {
        taken.before = taken.records.len();
        tokio::select! {
            read = source.read(&mut taken) => assert_eq!(read.expect("waits for the broker"), Progress::More),
            changed = total.changed() => changed.expect("still writing"),
            () = tokio::time::sleep_until(commit_at) => {}
        }
        if tokio::time::Instant::now() >= commit_at {
            let committed = source.commit(&source.positions()).await;
            failures += usize::from(committed.is_err_and(|error| error.is_retryable()));
            commit_at = tokio::time::Instant::now() + Duration::from_millis(500);
        }
    }
    // The group's coordinator comes back later than the topics.
    let back = tokio::time::Instant::now();
    while let Err(error) = source.commit(&source.positions()).await {
        assert!(error.is_retryable() && back.elapsed() < Duration::from_secs(60), "{error:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    println!("commits succeed {:?} after the last read", back.elapsed());
    drop(source);
    let mut again = create(fixture.source(&format!("{settings}\nend = \"latest\"")).as_ref()).await;
    assert_eq!(read_to_end(again.as_mut()).await, []);
    let mut offsets: BTreeMap<SplitId, Vec<i64>> = BTreeMap::new();
    for (_, meta) in taken.records {
        offsets.entry(meta.split).or_default().push(meta.offset);
    }
    (offsets, failures)
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
    let fixture = Arc::new(fixture);
    let (total, totals) = tokio::sync::watch::channel(usize::MAX);
    let reading = tokio::spawn({
        let fixture = Arc::clone(&fixture);
        async move { read_through(&fixture, totals).await }
    });
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
    total.send_replace(found.len());
    let (offsets, failed_commits) = reading.await.expect("read to the end");
    for offsets in offsets.values() {
        assert_eq!(*offsets, (0..).take(offsets.len()).collect::<Vec<i64>>(), "in order and without gaps");
    }
    assert_eq!(offsets.values().map(Vec::len).sum::<usize>(), found.len());
    println!(
        "{written} written, {} found, {failures} writes and {failed_commits} commits failed",
        found.len()
    );
    found.sort_unstable();
    found.dedup();
    assert!(failures > 0, "the outage was longer than the delivery timeout");
    assert_eq!(found, (0..written).collect::<Vec<_>>());
}
