//! Start and end positions, several subtasks, discovery, commits.

use super::*;

const FROM_START: &str = "start = \"earliest\"\nend = \"latest\"\n";

fn named(prefix: &str, range: std::ops::Range<i64>) -> Vec<String> {
    range.map(|index| format!("{prefix}-{index}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_a_bounded_topic_in_order() {
    let Some(fixture) = Fixture::new(2).await else { return };
    fixture.fill(0, 250).await;
    let factory = fixture.source(FROM_START);
    factory.check().await.expect("there");
    let cx = source_context(0, 1);
    let mut source = factory.create(cx.clone()).await.expect("created");
    let records = read_to_end(source.as_mut()).await;
    assert_eq!(payloads(&records), named("0", 0..250));
    let meta = records[7].1;
    assert_eq!((meta.offset, meta.timestamp.as_millis()), (7, 8000));
    let topic = &fixture.topic;
    assert_eq!(cx.splits.name(meta.split).map(|split| split.name.to_string()), Some(format!("{topic}/0")));
    let expected = BTreeMap::from([(format!("{topic}/0"), 250), (format!("{topic}/1"), 0)]);
    assert_eq!(positions(source.as_ref()), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_at_once_on_an_empty_topic() {
    let Some(fixture) = Fixture::new(3).await else { return };
    assert_eq!(fixture.content().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn spreads_partitions_over_subtasks() {
    let Some(fixture) = Fixture::new(3).await else { return };
    for partition in 0..3 {
        fixture.fill(partition, 20).await;
    }
    let factory = fixture.source(FROM_START);
    let mut all = Vec::new();
    for index in 0..4 {
        let mut source = factory.create(source_context(index, 4)).await.expect("created");
        let records = payloads(&read_to_end(source.as_mut()).await);
        assert_eq!(records.len(), if index < 3 { 20 } else { 0 });
        all.extend(records);
    }
    let mut expected = named("0", 0..20);
    expected.extend(named("1", 0..20));
    expected.extend(named("2", 0..20));
    assert_eq!(all, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn starts_and_ends_where_it_is_told() {
    let Some(fixture) = Fixture::new(2).await else { return };
    fixture.fill(0, 10).await;
    fixture.fill(1, 10).await;
    let both = |from: i64, to: i64| {
        let mut expected = named("0", from..to);
        expected.extend(named("1", from..to));
        expected
    };
    let cases = [
        ("start = \"timestamp\"\nstart_timestamp = \"1970-01-01T00:00:04Z\"\nend = \"latest\"", both(3, 10)),
        ("start = \"timestamp\"\nstart_timestamp = 20000\nend = \"latest\"", both(10, 10)),
        ("start = \"earliest\"\nend = \"timestamp\"\nend_timestamp = 4000", both(0, 3)),
        ("start = \"earliest\"\nend = \"timestamp\"\nend_timestamp = 99000", both(0, 10)),
        ("start = \"latest\"\nend = \"latest\"", both(0, 0)),
        ("start = \"committed\"\ngroup = \"none-yet\"\nend = \"latest\"", both(0, 10)),
    ];
    for (settings, expected) in cases {
        let mut source = create(fixture.source(settings).as_ref()).await;
        assert_eq!(sorted(payloads(&read_to_end(source.as_mut()).await)), expected, "{settings}");
    }
    let offsets =
        "start = \"offsets\"\nstart_offsets = { 0 = 8 }\nend = \"offsets\"\nend_offsets = { 1 = 2 }";
    let mut source = create(fixture.source(offsets).as_ref()).await;
    let mut expected = named("0", 8..10);
    expected.extend(named("1", 0..2));
    assert_eq!(sorted(payloads(&read_to_end(source.as_mut()).await)), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_what_comes_after_the_latest_start() {
    let Some(fixture) = Fixture::new(1).await else { return };
    fixture.fill(0, 5).await;
    let mut source = create(fixture.source("start = \"latest\"").as_ref()).await;
    fixture.fill(0, 3).await;
    let records = read_until(source.as_mut(), |records| records.len() >= 3).await;
    assert_eq!(records.iter().map(|(_, meta)| meta.offset).collect::<Vec<_>>(), [5, 6, 7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_for_end_offsets_that_are_not_written_yet() {
    let Some(fixture) = Fixture::new(1).await else { return };
    fixture.fill(0, 5).await;
    let settings = "start = \"earliest\"\nend = \"offsets\"\nend_offsets = { 0 = 8 }";
    let mut source = create(fixture.source(settings).as_ref()).await;
    assert_eq!(read_until(source.as_mut(), |records| records.len() >= 5).await.len(), 5);
    fixture.fill(0, 10).await;
    assert_eq!(read_to_end(source.as_mut()).await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_behind_the_marks_of_transactions() {
    let Some(fixture) = Fixture::new(1).await else { return };
    let id = fixture.topic.clone();
    fixture.fill_with(0, 10, Some(&id)).await;
    assert_eq!(fixture.payloads().await, named("0", 0..10));
    // The mark of the second transaction is the last record before this end.
    let settings = "start = \"earliest\"\nend = \"offsets\"\nend_offsets = { 0 = 22 }";
    let mut source = create(fixture.source(settings).as_ref()).await;
    assert_eq!(read_until(source.as_mut(), |records| records.len() >= 10).await.len(), 10);
    fixture.fill_with(0, 10, Some(&id)).await;
    assert_eq!(read_to_end(source.as_mut()).await.len(), 10);
    assert_eq!(source.positions().0[0].1, 22);
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_partitions_that_are_added_meanwhile() {
    let Some(fixture) = Fixture::new(1).await else { return };
    fixture.fill(0, 5).await;
    let factory = fixture.source("start = \"latest\"\ndiscovery = \"200ms\"");
    // The second subtask has no partition at first.
    let mut source = factory.create(source_context(1, 2)).await.expect("created");
    let reading = tokio::spawn(async move {
        let records = read_until(source.as_mut(), |records| records.len() >= 7).await;
        (records, positions(source.as_ref()))
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    fixture.add_partitions(4).await;
    fixture.fill(1, 4).await;
    fixture.fill(3, 3).await;
    let (records, positions) = reading.await.expect("read");
    let mut expected = named("1", 0..4);
    expected.extend(named("3", 0..3));
    assert_eq!(sorted(payloads(&records)), expected);
    let topic = &fixture.topic;
    assert_eq!(positions, BTreeMap::from([(format!("{topic}/1"), 4), (format!("{topic}/3"), 3)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn resumes_where_the_group_committed() {
    let Some(fixture) = Fixture::new(2).await else { return };
    fixture.fill(0, 30).await;
    fixture.fill(1, 5).await;
    let settings = format!("group = \"{}\"\nend = \"latest\"", fixture.topic);
    let factory = fixture.source(&settings);
    let mut source = create(factory.as_ref()).await;
    let records = read_to_end(source.as_mut()).await;
    assert_eq!(records.len(), 35);
    let mut half = source.positions();
    half.0.retain(|(name, _)| name.ends_with("/0"));
    half.0[0].1 = 12;
    source.commit(&half).await.expect("committed");
    drop(source);
    let mut source = create(factory.as_ref()).await;
    let mut expected = named("0", 12..30);
    expected.extend(named("1", 0..5));
    assert_eq!(sorted(payloads(&read_to_end(source.as_mut()).await)), sorted(expected));
    source.commit(&source.positions()).await.expect("committed");
    let mut source = create(factory.as_ref()).await;
    assert_eq!(read_to_end(source.as_mut()).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn skips_and_counts_tombstones() {
    let Some(fixture) = Fixture::new(1).await else { return };
    let producer: ThreadedProducer<DefaultProducerContext> = fixture.client().create().expect("a producer");
    for payload in [Some("a"), None, Some(""), None] {
        let mut record: BaseRecord<'_, str, str> = BaseRecord::to(&fixture.topic).key("k");
        record.payload = payload;
        producer.send(record).map_err(|(error, _)| error).expect("sent");
    }
    tokio::task::spawn_blocking(move || producer.flush(Duration::from_secs(10)).expect("flushed"))
        .await
        .expect("flushed");
    let cx = source_context(0, 1);
    let mut source = fixture.source(FROM_START).create(cx.clone()).await.expect("created");
    assert_eq!(payloads(&read_to_end(source.as_mut()).await), ["a", ""]);
    assert_eq!(cx.metrics.counter("orders", "tombstones").get(), 2);
    assert_eq!(source.positions().0[0].1, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_how_far_it_lags_behind() {
    let Some(fixture) = Fixture::new(1).await else { return };
    fixture.fill(0, 1000).await;
    let cx = source_context(0, 1);
    let mut source = fixture.source("start = \"earliest\"").create(cx.clone()).await.expect("created");
    let lag = cx.metrics.gauge("orders", "lag.0");
    let mut taken = Taken { limit: 10, ..Taken::default() };
    assert_eq!(lag.get(), 1000);
    while lag.get() == 1000 {
        taken.before = taken.records.len();
        source.read(&mut taken).await.expect("readable");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!((1..1000).contains(&lag.get()), "{}", lag.get());
    let mut all = Taken { limit: 2000, ..Taken::default() };
    let idle = tokio::time::timeout(Duration::from_secs(4), async {
        loop {
            all.before = all.records.len();
            source.read(&mut all).await.expect("readable");
        }
    });
    assert!(idle.await.is_err());
    assert_eq!((taken.records.len() + all.records.len(), lag.get()), (1000, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn loses_nothing_when_a_read_is_cancelled() {
    let Some(fixture) = Fixture::new(1).await else { return };
    let mut source = create(fixture.source("start = \"earliest\"\ndiscovery = \"10ms\"").as_ref()).await;
    let writing = async {
        for _ in 0..20 {
            fixture.fill(0, 5).await;
        }
    };
    let mut taken = Taken { limit: 3, ..Taken::default() };
    let reading = async {
        while taken.records.len() < 100 {
            taken.before = taken.records.len();
            let read = source.read(&mut taken);
            let _cancelled = tokio::time::timeout(Duration::from_micros(700), read).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(writing, reading) })
        .await
        .expect("read");
    let offsets: Vec<_> = taken.records.iter().map(|(_, meta)| meta.offset).collect();
    assert_eq!(offsets, (0..100).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn names_what_is_missing_at_the_start() {
    let Some(fixture) = Fixture::new(1).await else { return };
    fixture.fill(0, 5).await;
    let failure = async |settings: &str| {
        let error = fixture.source(settings).check().await.expect_err("fails");
        error.report()
    };
    let range = failure("start = \"offsets\"\nstart_offsets = { 0 = 9 }").await;
    assert!(range.contains("offset=9, first=0, end=5"), "{range}");
    let partition = failure("start = \"offsets\"\nstart_offsets = { 7 = 0 }").await;
    assert!(partition.contains("`start_offsets` names a partition"), "{partition}");
    let nowhere = Fixture { brokers: fixture.brokers.clone(), topic: "flare-none".to_owned(), _alive: None };
    let error = nowhere.source(FROM_START).check().await.expect_err("no topic").report();
    assert!(error.contains("--create --topic flare-none") && error.contains("cluster=kafka"), "{error}");
    let error = nowhere.sink("").check().await.expect_err("no topic").report();
    assert!(error.contains("--create --topic flare-none"), "{error}");
    let dead = Fixture { brokers: "127.0.0.1:1".to_owned(), topic: "flare-none".to_owned(), _alive: None };
    let error: Error = dead.source(FROM_START).check().await.expect_err("no broker");
    assert!(error.is_retryable() && error.report().contains("check `cluster.kafka.brokers`"), "{error:?}");
}
