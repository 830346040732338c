//! What is made of the records of a window: shortcuts, and all of them at once.

use flare::prelude::*;
use flare::{Watermarks, Windows};
use proptest::prelude::*;

use crate::inputs::{Event, Inputs, cases, inputs, ms};
use crate::support::{Collected, check};
use crate::windows::sliding;

/// A window's start and end, and a result.
type Row<R> = (i64, i64, R);

/// What `give` makes of windows of one key, with records given as moments and values, in the order of their arrival.
fn results<R: Clone + Ord + Send + 'static>(
    records: &[(i64, i64)],
    windows: Windows,
    give: impl FnOnce(Windowed) -> BoxedStream<Row<R>> + 'static,
) -> Vec<Row<R>> {
    let events: Vec<_> = records.iter().map(|(at, value)| Event { key: 1, at: *at, value: *value }).collect();
    let describe = move |job: &mut Job, out: Collected<Row<R>>| {
        let watermarks = Watermarks::bounded(ms(1000));
        let events = job.values("events", events);
        let timed = events.event_time(|event| Timestamp::from_millis(event.at), watermarks);
        give(Windowed(timed, windows)).for_each(out.collector());
        Ok(())
    };
    check(describe, |runner| runner).unwrap().1.items()
}

/// A stream that is to be keyed and put into windows, since the type of a windowed one cannot be named.
struct Windowed(BoxedStream<Event>, Windows);

/// The windowed stream itself.
macro_rules! windowed {
    ($windowed:ident) => {
        $windowed.0.key_by(|event| event.key).window($windowed.1)
    };
}

fn row<R>(window: Window, result: R) -> Row<R> {
    (window.start.as_millis(), window.end.as_millis(), result)
}

fn values(windowed: Windowed) -> BoxedStream<Row<Vec<i64>>> {
    let process = |_: &u8, window: Window, events: &[Event]| {
        Some(row(window, events.iter().map(|event| event.value).collect()))
    };
    windowed!(windowed).process(process)
}

const RECORDS: [(i64, i64); 4] = [(7, 1), (3, 2), (9, 3), (14, 4)];

#[test]
fn counts_the_records_of_a_window() {
    let counts = results(&RECORDS, Windows::tumbling(ms(10)), |windowed| {
        windowed!(windowed).count(|_, window, count| row(window, count))
    });
    assert_eq!(counts, [(0, 10, 3), (10, 20, 1)]);
}

#[test]
fn sums_what_the_records_of_a_window_give() {
    let sums = results(&RECORDS, Windows::sliding(ms(10), ms(5)), |windowed| {
        windowed!(windowed).sum(|event| event.value, |_, window, sum| row(window, sum))
    });
    assert_eq!(sums, [(-5, 5, 2), (0, 10, 6), (5, 15, 8), (10, 20, 4)]);
}

#[test]
fn merges_the_records_of_a_window_into_one() {
    for (windows, expected) in [
        (Windows::tumbling(ms(10)), vec![(0, 10, 6), (10, 20, 4)]),
        (Windows::sliding(ms(10), ms(5)), vec![(-5, 5, 2), (0, 10, 6), (5, 15, 8), (10, 20, 4)]),
        (Windows::session(ms(4)), vec![(3, 13, 6), (14, 18, 4)]),
    ] {
        let merged = results(&RECORDS, windows, |windowed| {
            let reduce = |all: &mut Event, event: Event| all.value += event.value;
            windowed!(windowed).reduce(reduce, |_, window, all| row(window, all.value))
        });
        assert_eq!(merged, expected);
    }
}

#[test]
fn processes_records_in_the_order_of_their_arrival() {
    let tumbling = results(&RECORDS, Windows::tumbling(ms(10)), values);
    assert_eq!(tumbling, [(0, 10, vec![1, 2, 3]), (10, 20, vec![4])]);
    // Each window but the first and the last is put together from two panes.
    let overlapping = results(&RECORDS, Windows::sliding(ms(10), ms(5)), values);
    let expected = [(-5, 5, vec![2]), (0, 10, vec![1, 2, 3]), (5, 15, vec![1, 3, 4]), (10, 20, vec![4])];
    assert_eq!(overlapping, expected);
    // The last record makes one session of two.
    let sessions = results(&[(20, 1), (5, 2), (21, 3), (6, 4), (13, 5)], Windows::session(ms(8)), values);
    assert_eq!(sessions, [(5, 29, vec![1, 2, 3, 4, 5])]);
}

#[test]
fn processes_a_window_again_with_what_came_late() {
    let describe = |job: &mut Job, out: Collected<Row<Vec<i64>>>| {
        let events = [(1, 1), (12, 2), (2, 3)].map(|(at, value)| Event { key: 1, at, value });
        let events = job.values("events", events.to_vec());
        let timed = events.event_time(|event| Timestamp::from_millis(event.at), Watermarks::monotonic());
        values(Windowed(timed, Windows::tumbling(ms(10)).allowed_lateness(ms(100))))
            .for_each(out.collector());
        Ok(())
    };
    let set = |runner: flare::Runner| runner.set("source.events.batch", 1).set("job.batch", 1);
    let (_, out) = check(describe, set).unwrap();
    assert_eq!(out.items(), [(0, 10, vec![1]), (0, 10, vec![1, 3]), (10, 20, vec![2])]);
}

/// What each window and key holds, however its records came.
fn processed(inputs: &Inputs, windows: Windows) -> Vec<(i64, i64, u8, Vec<i64>)> {
    inputs.run(move |inputs, job| {
        let stream = inputs.in_time("left", job)?;
        let windows = stream.key_by(|event| event.key).window(windows);
        Ok(windows.process(|key, window, events| {
            let mut values: Vec<_> = events.iter().map(|event| event.value).collect();
            values.sort_unstable();
            [(window.start.as_millis(), window.end.as_millis(), *key, values)]
        }))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn every_window_is_processed_with_all_its_records(inputs in inputs(), size in 1_i64..90, slide in 1_i64..60) {
        let mut expected: std::collections::BTreeMap<_, Vec<i64>> = std::collections::BTreeMap::new();
        let windows_of = sliding(size, slide);
        for event in inputs.all() {
            for (start, end) in windows_of(event.at) {
                expected.entry((start, end, event.key)).or_default().push(event.value);
            }
        }
        expected.values_mut().for_each(|values| values.sort_unstable());
        let expected: Vec<_> =
            expected.into_iter().map(|((start, end, key), values)| (start, end, key, values)).collect();
        prop_assert_eq!(processed(&inputs, Windows::sliding(ms(size), ms(slide))), expected);
    }
}
