//! Sources that wait for one another in event time.

use flare::prelude::*;
use flare::test::{FlareTest, MockSource};

/// Comes fast.
#[kafka(topic = "fast", event_time = "at", max_drift = "20s")]
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Fast {
    at: Timestamp,
}

/// Comes slowly.
#[kafka(topic = "slow", event_time = "at")]
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Slow {
    at: Timestamp,
}

/// What came.
#[kafka(topic = "seen")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Seen {
    fast: bool,
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn both(job: &mut Job) -> Result<()> {
    let fast = job.source::<Fast>()?.map(|_| Seen { fast: true });
    fast.union(job.source::<Slow>()?.map(|_| Seen { fast: false })).sink::<Seen>()
}

#[test]
fn a_fast_source_waits_for_a_slow_one() {
    let mut test = FlareTest::described("both", both);
    let (slow, slow_hand) = MockSource::by_hand();
    let (fast, fast_hand) = MockSource::by_hand();
    test.source::<Slow>(slow);
    test.source::<Fast>(fast);
    let out = test.sink::<Seen>();
    let mut live = test.start().unwrap();
    slow_hand.push(Slow { at: at(0) });
    live.settle();
    (1..=9).for_each(|n| fast_hand.push(Fast { at: at(n * 10) }));
    live.settle();
    let seen = || out.records().iter().filter(|seen| seen.fast).count();
    assert_eq!(seen(), 3, "the third is the first that is more than 20 s ahead");
    slow_hand.push(Slow { at: at(25) });
    live.settle();
    assert_eq!(seen(), 5);
    live.checkpoint();
    live.crash();
    assert_eq!(seen(), 5, "it waits after a crash as well");
    slow_hand.end();
    live.settle();
    assert_eq!(seen(), 9, "nobody waits for a source that has ended");
    live.finish().unwrap();
}

#[test]
fn nobody_waits_for_a_source_of_which_nothing_has_come() {
    let mut test = FlareTest::described("both", both);
    let (slow, slow_hand) = MockSource::by_hand();
    test.source::<Slow>(slow);
    test.source(MockSource::of((1..=9).map(|n| Fast { at: at(n * 10) })));
    let out = test.sink::<Seen>();
    let mut live = test.start().unwrap();
    assert_eq!(out.take().len(), 9);
    slow_hand.push(Slow { at: at(1) });
    live.settle();
    assert_eq!(out.take(), [Seen { fast: false }], "the slow one has no bound of its own");
    live.finish().unwrap();
}
