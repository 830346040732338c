//! Windows that go by records: sliding counts, and global windows with triggers.

use std::time::Duration;

use flare::keyed::{Clearing, EveryCount, EveryTime, Fire, Timer, Trigger, TriggerContext};
use flare::prelude::*;
use flare::test::{Exploration, FlareTest, LiveTest, ManualSource, MockSource, TestSink};
use proptest::prelude::*;

use crate::inputs::cases;

/// A number of a key.
#[kafka(topic = "numbers")]
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Item {
    key: u8,
    value: u64,
}

/// A result of a key.
#[kafka(topic = "results")]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Sums {
    key: u8,
    sum: u64,
}

fn numbers(keys: &[u8]) -> Vec<Item> {
    keys.iter().zip(1..).map(|(key, value)| Item { key: *key, value }).collect()
}

/// What `size` records every `slide` of each key sum up to.
fn naive(numbers: &[Item], size: usize, slide: usize) -> Vec<Sums> {
    let mut sums = Vec::new();
    for (index, number) in numbers.iter().enumerate() {
        let before = numbers[..=index].iter().filter(|other| other.key == number.key);
        let values: Vec<u64> = before.map(|other| other.value).collect();
        if values.len().is_multiple_of(slide) {
            sums.push(Sums { key: number.key, sum: values.iter().rev().take(size).sum() });
        }
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn sliding_counts_are_those_of_a_naive_evaluation(
        keys in proptest::collection::vec(0_u8..3, 0..40), size in 1_u64..9, slide in 1_u64..9, parallelism in 1_usize..4,
    ) {
        let mut test = FlareTest::described("sliding", move |job| {
            let sums = Sum(|number: &Item| number.value);
            let numbers = job.source::<Item>()?.key_by(|number| number.key);
            numbers.sliding_count_window(size, slide, sums, |key, sum| Sums { key: *key, sum }).sink::<Sums>()
        });
        let numbers = numbers(&keys);
        test.source(MockSource::of(numbers.clone()));
        test.set("job.parallelism", parallelism);
        test.seed(keys.len() as u64);
        let out = test.sink::<Sums>();
        test.run().unwrap();
        out.assert_by_key(|sums| sums.key, naive(&numbers, size as usize, slide as usize));
    }
}

/// A job with a global window over sums.
fn global<G: Trigger<Item>>(trigger: G) -> (LiveTest, ManualSource<Item>, TestSink<Sums>) {
    let mut test = FlareTest::described("global", move |job| {
        let sums = Sum(|number: &Item| number.value);
        let numbers = job.source::<Item>()?.key_by(|number| number.key);
        numbers.global_window(trigger.clone(), sums, |key, sum| Sums { key: *key, sum }).sink::<Sums>()
    });
    let (source, numbers) = MockSource::by_hand();
    test.source(source);
    let out = test.sink::<Sums>();
    (test.start().unwrap(), numbers, out)
}

fn sum(key: u8, sum: u64) -> Sums {
    Sums { key, sum }
}

#[test]
fn counts_call_for_results_with_and_without_clearing() {
    let (live, numbers, out) = global(EveryCount(2));
    (1..=5).for_each(|value| numbers.push(Item { key: 1, value }));
    live.finish().unwrap();
    out.assert_eq([sum(1, 3), sum(1, 10)]);
    let (live, numbers, out) = global(Clearing(EveryCount(2)));
    (1..=5).for_each(|value| numbers.push(Item { key: 1, value }));
    live.finish().unwrap();
    out.assert_eq([sum(1, 3), sum(1, 7)]);
}

#[test]
fn time_calls_for_results_of_keys_that_have_changed() {
    let (mut live, numbers, out) = global(EveryTime(Duration::from_secs(10)));
    numbers.push(Item { key: 1, value: 1 });
    numbers.push(Item { key: 2, value: 5 });
    numbers.push(Item { key: 1, value: 2 });
    live.advance_by(Duration::from_secs(9));
    assert_eq!(out.take(), []);
    live.checkpoint();
    live.crash();
    live.advance_by(Duration::from_secs(1));
    out.assert_unordered([sum(1, 3), sum(2, 5)]);
    out.take();
    live.advance_by(Duration::from_secs(60));
    assert_eq!(out.take(), []);
    numbers.push(Item { key: 2, value: 1 });
    live.advance_by(Duration::from_secs(10));
    out.assert_eq([sum(2, 6)]);
    live.finish().unwrap();
}

/// Gives a result when a value is larger than all before it.
#[derive(Clone)]
struct Record;

impl Trigger<Item> for Record {
    type State = u64;

    fn record(&mut self, number: &Item, largest: &mut u64, cx: &mut TriggerContext) -> Fire {
        if number.value <= *largest {
            return Fire::Wait;
        }
        *largest = number.value;
        let end = cx.processing_time.saturating_add(Duration::from_secs(5));
        cx.set(Timer::Processing(end));
        Fire::Give
    }

    fn timer(&mut self, _timer: Timer, _largest: &mut u64, _cx: &mut TriggerContext) -> Fire {
        Fire::GiveAndClear
    }
}

#[test]
fn a_trigger_of_ones_own_remembers_and_sets_timers() {
    let (mut live, numbers, out) = global(Record);
    [3, 2, 4].into_iter().for_each(|value| numbers.push(Item { key: 1, value }));
    live.settle();
    assert_eq!(out.take(), [sum(1, 3), sum(1, 9)]);
    live.advance_by(Duration::from_secs(5));
    assert_eq!(out.take(), [sum(1, 9)]);
    numbers.push(Item { key: 1, value: 1 });
    live.settle();
    assert_eq!(out.take(), [sum(1, 1)], "it has forgotten the largest");
    live.finish().unwrap();
}

#[test]
fn windows_by_records_survive_crashes() {
    let keys: Vec<u8> = (0..30).map(|n| n % 4).collect();
    let numbers = numbers(&keys);
    Exploration::of(60).run(|case| {
        let mut test = FlareTest::described("both", |job| {
            let numbers = job.source::<Item>()?;
            let sums = Sum(|number: &Item| number.value);
            let sliding = numbers
                .key_by(|number| number.key)
                .sliding_count_window(5, 2, sums, |key, sum| Sums { key: *key, sum });
            sliding.sink::<Sums>()
        });
        test.source(MockSource::of(numbers.clone()));
        case.apply(&mut test);
        let out = test.sink::<Sums>();
        test.run().unwrap();
        out.assert_by_key(|sums| sums.key, naive(&numbers, 5, 2));
    });
    Exploration::of(60).run(|case| {
        let mut test = FlareTest::described("both", |job| {
            let sums = Sum(|number: &Item| number.value);
            let numbers = job.source::<Item>()?.key_by(|number| number.key);
            numbers
                .global_window(Clearing(EveryCount(3)), sums, |key, sum| Sums { key: *key, sum })
                .sink::<Sums>()
        });
        test.source(MockSource::of(numbers.clone()));
        case.apply(&mut test);
        let out = test.sink::<Sums>();
        test.run().unwrap();
        out.assert_by_key(|sums| sums.key, naive(&numbers, 3, 3));
    });
}
