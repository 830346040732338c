//! What each operator does to a stream.

use std::fmt::Debug;

use flare::prelude::*;
use flare::test::FlareTest;
use serde::de::DeserializeOwned;

use crate::support::{Collected, check, run};

/// Runs a job at parallelism 1 and 3, in a few orders of its subtasks; all must give the same items.
fn gives<T: Ord + Serialize + DeserializeOwned + Debug + Send + 'static>(
    describe: impl Fn(&mut Job) -> Result<BoxedStream<T>> + Clone + 'static,
    expected: Vec<T>,
) {
    for (parallelism, seed) in [(1, 0), (3, 0), (3, 1), (3, 2)] {
        let set = |test: &mut FlareTest| {
            test.seed(seed);
            test.set("job.parallelism", parallelism);
        };
        let given = run(describe.clone(), set).unwrap();
        assert_eq!(given.sorted(), expected, "at parallelism {parallelism}, seed {seed}");
    }
}

fn numbers(job: &mut Job) -> BoxedStream<u32> {
    job.values("numbers", (0..10_000).collect())
}

#[test]
fn maps_filters_and_flattens_in_one_pass() {
    let describe = |job: &mut Job| {
        let stream = numbers(job).filter(|n| n % 1000 == 0).map(|n| n / 1000).flat_map(|n| vec![n; 2]);
        Ok(stream.boxed())
    };
    gives(describe, (0..10).flat_map(|n| [n, n]).collect());
}

#[test]
fn keeps_every_record_through_exchanges() {
    let describe = |job: &mut Job| Ok(numbers(job).rebalance().map(|n| n + 1).boxed().rebalance().boxed());
    gives(describe, (1..=10_000).collect());
}

#[test]
fn broadcasts_to_every_subtask() {
    let describe =
        |job: &mut Job| Ok(job.values("few", vec![1, 2]).broadcast().map(|n| n).parallelism(3).boxed());
    gives(describe, vec![1, 1, 1, 2, 2, 2]);
}

#[test]
fn merges_streams_and_reads_a_shared_one_twice() {
    let describe = |job: &mut Job| {
        let shared = numbers(job).filter(|n| *n < 3).shared();
        let tens = shared.stream().map(|n| n * 10);
        Ok(shared.stream().union(tens))
    };
    gives(describe, vec![0, 0, 1, 2, 10, 20]);
}

#[test]
fn parts_a_stream_by_type() {
    let describe = |job: &mut Job| {
        let route =
            |n: u32| if n.is_multiple_of(5000) { Routed::Side(format!("side {n}")) } else { Routed::Main(n) };
        let (main, side) = numbers(job).side_output("round", route);
        Ok(main.filter(|n| *n == 7).map(|n| format!("main {n}")).union(side))
    };
    gives(describe, vec!["main 7".into(), "side 0".into(), "side 5000".into()]);
}

#[test]
fn keeps_the_order_of_a_single_lane() {
    let describe = |job: &mut Job| Ok(numbers(job).map(|n| n).boxed().map(|n| n).boxed());
    let given = run(describe, |test| test.set("job.batch", 7)).unwrap();
    assert_eq!(given.items, (0..10_000).collect::<Vec<_>>());
}

#[test]
fn reports_a_panic_with_its_place_and_goes_on_living() {
    let describe = |job: &mut Job, out: Collected<u32>| {
        let numbers = numbers(job).filter(|_| true);
        numbers.map(|n| if n == 77 { panic!("seventy-seven") } else { n }).for_each(out.collector());
        Ok(())
    };
    let error = check(describe, |runner| runner).map(|_| ()).unwrap_err();
    assert_eq!(error.context("operator"), Some("map-1"));
    assert_eq!(error.context("subtask"), Some("source.numbers[0]"));
    assert_eq!(error.context("panic"), Some("seventy-seven"));
    assert!(error.context("at").unwrap().contains("operators.rs:"), "{}", error.report());
}

#[test]
fn blames_a_panic_on_the_operator_whose_function_it_was() {
    let blamed = |describe: fn(BoxedStream<u32>)| {
        let describe = move |job: &mut Job, _: Collected<u32>| {
            describe(numbers(job));
            Ok(())
        };
        let error = check(describe, |runner| runner).map(|_| ()).unwrap_err();
        error.context("operator").unwrap().to_owned()
    };
    fn fails<T>(_: T) -> u32 {
        panic!("here")
    }
    assert_eq!(blamed(|numbers| numbers.map(|n| n).filter(|n| fails(n) == 0).for_each(|_| {})), "filter-1");
    assert_eq!(blamed(|numbers| numbers.flat_map(|n| [n].map(fails)).for_each(|_| {})), "flat_map-1");
    assert_eq!(
        blamed(|numbers| numbers.flat_map(|n| [n].into_iter().map(fails)).for_each(|_| {})),
        "flat_map-1"
    );
    assert_eq!(blamed(|numbers| numbers.inspect(|n| _ = fails(n)).id("look").for_each(|_| {})), "look");
    assert_eq!(blamed(|numbers| numbers.map(|n| n).for_each(|n| _ = fails(n))), "for_each-1");
}
