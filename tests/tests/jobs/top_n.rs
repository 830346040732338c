//! The first record of each key, and those that rank highest, compared with a plain evaluation.

use std::collections::{BTreeMap, BTreeSet};

use flare::Windows;
use flare::keyed::Ttl;
use flare::prelude::*;
use proptest::prelude::*;

use crate::inputs::{Event, cases, inputs, ms};
use crate::support::{Collected, check, run};
use crate::windows::sliding;

/// The highest values, the highest first.
fn highest(mut values: Vec<i64>, n: usize) -> Vec<i64> {
    values.sort_unstable_by(|a, b| b.cmp(a));
    values.truncate(n);
    values
}

fn values(events: &[Event]) -> Vec<i64> {
    events.iter().map(|event| event.value).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn deduplication_keeps_one_record_of_each_key(inputs in inputs()) {
        let kept = inputs.run(|inputs, job| {
            Ok(inputs.idling("left", job)?.key_by(|event| event.key).deduplicate(None))
        });
        let keys: BTreeSet<_> = inputs.all().iter().map(|event| event.key).collect();
        let kept: Vec<_> = kept.iter().map(|event| event.key).collect();
        prop_assert_eq!(kept, keys.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_running_top_ends_with_the_highest_of_each_key(inputs in inputs(), n in 1_usize..5) {
        let tops = inputs.run(move |inputs, job| {
            let keyed = inputs.idling("left", job)?.key_by(|event| event.key);
            Ok(keyed.top_n(n, |event| event.value).map(|(key, top)| (key, values(&top))).boxed())
        });
        // A top only grows, so the last one is the greatest, and none comes twice.
        prop_assert!(tops.is_sorted_by(|a, b| a < b));
        let last: BTreeMap<u8, Vec<i64>> = tops.into_iter().collect();
        let mut expected: BTreeMap<u8, Vec<i64>> = BTreeMap::new();
        for event in inputs.all() {
            expected.entry(event.key).or_default().push(event.value);
        }
        prop_assert_eq!(last, expected.into_iter().map(|(key, all)| (key, highest(all, n))).collect());
    }

    #[test]
    fn each_window_gives_its_top_once(inputs in inputs(), n in 1_usize..5, size in 1_i64..90, slide in 1_i64..60) {
        let tops = inputs.run(move |inputs, job| {
            let keyed = inputs.in_time("left", job)?.key_by(|event| event.key);
            let tops = keyed.window(Windows::sliding(ms(size), ms(slide))).top_n(n, |event| event.value);
            Ok(tops.map(|(key, window, top)| (window.start.as_millis(), key, values(&top))).boxed())
        });
        let (mut expected, windows_of) = (BTreeMap::<(i64, u8), Vec<i64>>::new(), sliding(size, slide));
        for event in inputs.all() {
            for (start, _) in windows_of(event.at) {
                expected.entry((start, event.key)).or_default().push(event.value);
            }
        }
        let expected = expected.into_iter().map(|((start, key), all)| (start, key, highest(all, n)));
        prop_assert_eq!(tops, expected.collect::<Vec<_>>());
    }
}

#[test]
fn deduplication_keeps_the_record_that_came_first() {
    let describe = |job: &mut Job| {
        let records: Vec<_> = (0..100_u32).map(|n| (n % 7, n)).collect();
        let keyed = job.values("records", records).key_by(|record| record.0);
        Ok(keyed.deduplicate(Ttl::after_write(ms(3_600_000))))
    };
    let given = run(describe, |test| test.set("job.parallelism", 3)).unwrap();
    assert_eq!(given.sorted(), (0..7).map(|n| (n, n)).collect::<Vec<_>>());
}

#[test]
fn refuses_a_top_of_none() {
    let describe = |job: &mut Job, out: Collected<(u32, Vec<u32>)>| {
        job.values("numbers", vec![1_u32]).key_by(|n| *n).top_n(0, |n| *n).for_each(out.collector());
        Ok(())
    };
    let error = check(describe, |runner| runner).map(|_| ()).unwrap_err().report();
    assert!(error.contains("bad-top") && error.contains("write at least 1"), "{error}");
}
