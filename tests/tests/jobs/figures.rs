//! Figures of the job's author.

use std::time::Duration;

use flare::figures::Figure;
use flare::prelude::*;
use flare::test::{FlareTest, MockSource};

/// What was bought, and how.
#[kafka(topic = "purchases")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Purchase {
    kind: String,
    cents: i64,
}

fn purchases(job: &mut Job) -> Result<()> {
    let (expensive, by_kind) = (job.counter("expensive"), job.multi_counter("by_kind"));
    let (last, took) = (job.gauge("last"), job.durations("took"));
    let purchases = job.source::<Purchase>()?.inspect(move |purchase| {
        expensive.add(u64::from(purchase.cents > 100));
        by_kind.add(&purchase.kind, 1);
        last.set(purchase.cents);
        took.record(Duration::from_millis(purchase.cents.unsigned_abs()));
    });
    purchases.sink::<Purchase>()
}

#[test]
fn figures_of_the_author_are_counted_and_shown() {
    let mut test = FlareTest::described("purchases", purchases);
    let purchase = |kind: &str, cents| Purchase { kind: kind.to_owned(), cents };
    test.source(MockSource::of([purchase("card", 500), purchase("cash", 5), purchase("card", 101)]));
    let _out = test.sink::<Purchase>();
    let run = test.run().unwrap();
    assert_eq!(run.counter("user", "expensive"), 2);
    let by_kind: Vec<_> = run.multi_counter("by_kind").into_iter().collect();
    assert_eq!(by_kind, [("card".to_owned(), 2), ("cash".to_owned(), 1)]);
    assert_eq!(run.figure("user", "last"), Some(Figure::Level(101)));
    let Some(Figure::Durations(took)) = run.figure("user", "took") else { panic!("no durations") };
    assert_eq!(took.count, 3);
    let text = run.summary.text();
    assert!(text.contains("by_kind{card}: 2") && text.contains("took: 3 times"), "{text}");
}

#[test]
fn the_graph_can_be_asserted() {
    let mut test = FlareTest::described("purchases", purchases);
    test.source(MockSource::<Purchase>::empty());
    let _out = test.sink::<Purchase>();
    let plan = test.plan().unwrap();
    assert!(plan.contains("source.Purchase") && plan.contains("sink.Purchase"), "{plan}");
    let mut test = FlareTest::described("purchases", purchases);
    test.source(MockSource::<Purchase>::empty());
    assert!(test.plan().unwrap_err().report().contains("test.sink::<Purchase>(…)"));
}
