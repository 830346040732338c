//! Operators over two streams, compared with a plain evaluation of all records at once.

use std::collections::{BTreeMap, BTreeSet};

use flare::Windows;
use flare::keyed::RelativeTime::{self, After, Before};
use flare::keyed::{BroadcastProcess, CoProcess, Context, Declare, MapState, Process, Timer, Window};
use flare::prelude::*;
use flare::test::FlareTest;
use proptest::prelude::*;
use serde::de::DeserializeOwned;

use crate::inputs::{Event, Inputs, cases, inputs_below, ms};
use crate::support::{Collected, check, run};
use crate::windows::sliding;

/// Two streams, each of a few inputs with a disorder of their own. Some records come twice.
#[derive(Clone, Debug)]
struct Two {
    left: Inputs,
    right: Inputs,
}

fn two() -> impl Strategy<Value = Two> {
    let twice = |mut inputs: Inputs| {
        for events in &mut inputs.inputs {
            *events = events
                .iter()
                .flat_map(|event| std::iter::repeat_n(*event, if event.value % 4 == 0 { 2 } else { 1 }))
                .collect();
        }
        inputs
    };
    (inputs_below(30), inputs_below(30))
        .prop_map(move |(left, right)| Two { left: twice(left), right: twice(right) })
}

impl Two {
    /// What a job makes of them, sorted, whatever happens to it.
    fn run<T: Ord + Serialize + DeserializeOwned + Send + 'static>(
        &self,
        describe: impl Fn(BoxedStream<Event>, BoxedStream<Event>) -> BoxedStream<T> + 'static,
    ) -> Vec<T> {
        let own = self.clone();
        let described = move |job: &mut Job| {
            let (left, right) = (own.left.in_time("left", job)?, own.right.in_time("right", job)?);
            Ok(describe(left, right))
        };
        let given = run(described, |test| {
            self.give(test);
            self.left.faults.apply(test);
        });
        given.unwrap_or_else(|error| panic!("{}", error.report())).sorted()
    }

    fn give(&self, test: &mut FlareTest) {
        self.left.give("left", test);
        self.right.give("right", test);
    }
}

/// Gives each record with its event time, which no watermark may have passed.
#[derive(Clone)]
struct Timed;

impl<T: Clone + Send + 'static> Process<u8, T> for Timed {
    type Out = (T, i64);

    fn process(&mut self, record: &T, cx: &mut Context<'_, u8, (T, i64)>) -> Result<()> {
        let timestamp = cx.timestamp().unwrap();
        assert!(timestamp > cx.watermark(), "a result came late");
        cx.emit((record.clone(), timestamp.as_millis()));
        Ok(())
    }
}

/// What both streams have had of a key up to a moment, told when event time has passed it.
#[derive(Clone, Default)]
struct Sums {
    left: MapState<i64, i64>,
    right: MapState<i64, i64>,
}

/// A key, a moment, the sums of both sides.
type SumsAt = (u8, i64, i64, i64);

impl CoProcess<u8, Event, Event> for Sums {
    type Out = SumsAt;

    fn open(&mut self, states: &mut Declare<'_, u8>) -> Result<()> {
        self.left = states.map("left")?;
        self.right = states.map("right")?;
        Ok(())
    }

    fn process_left(&mut self, event: &Event, cx: &mut Context<'_, u8, SumsAt>) -> Result<()> {
        self.left.update(cx, event.at, |sum| *sum += event.value)?;
        cx.set_timer(Timestamp::from_millis(event.at));
        Ok(())
    }

    fn process_right(&mut self, event: &Event, cx: &mut Context<'_, u8, SumsAt>) -> Result<()> {
        self.right.update(cx, event.at, |sum| *sum += event.value)?;
        cx.set_timer(Timestamp::from_millis(event.at));
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context<'_, u8, SumsAt>) -> Result<()> {
        let Timer::Event(at) = timer else { return Ok(()) };
        let at = at.as_millis();
        let until = |(time, _): &(&i64, &i64)| **time <= at;
        let left = self.left.iter(cx)?.filter(until).map(|(_, sum)| *sum).sum();
        let right = self.right.iter(cx)?.filter(until).map(|(_, sum)| *sum).sum();
        let key = *cx.key();
        cx.emit((key, at, left, right));
        Ok(())
    }
}

/// What the control stream has had up to each record's moment, told when event time has passed it.
#[derive(Clone)]
struct ControlSum;

impl BroadcastProcess<u8, Event, Event> for ControlSum {
    type Out = (u8, i64, i64);
    type Name = i64;
    type Value = i64;

    fn process(
        &mut self,
        event: &Event,
        _shared: &BTreeMap<i64, i64>,
        cx: &mut Context<'_, u8, Self::Out>,
    ) -> Result<()> {
        cx.set_timer(Timestamp::from_millis(event.at));
        Ok(())
    }

    fn process_control(&mut self, control: &Event, shared: &mut BTreeMap<i64, i64>) -> Result<()> {
        *shared.entry(control.at).or_default() += control.value;
        Ok(())
    }

    fn on_timer(
        &mut self,
        timer: Timer,
        shared: &BTreeMap<i64, i64>,
        cx: &mut Context<'_, u8, Self::Out>,
    ) -> Result<()> {
        let Timer::Event(at) = timer else { return Ok(()) };
        let (key, at) = (*cx.key(), at.as_millis());
        cx.emit((key, at, shared.range(..=at).map(|(_, sum)| sum).sum()));
        Ok(())
    }
}

fn relative(millis: i64) -> RelativeTime {
    if millis < 0 { Before(ms(-millis)) } else { After(ms(millis)) }
}

/// A window's start and end, a key, and each side's count and sum.
type Row = (i64, i64, u8, [(usize, i64); 2]);

fn counted(events: &[Event]) -> (usize, i64) {
    (events.len(), events.iter().map(|event| event.value).sum())
}

impl Two {
    fn window_join(&self, windows: Windows) -> Vec<Row> {
        self.run(move |left, right| {
            let rows = |key: &u8, window: Window, left: &[Event], right: &[Event]| {
                [(window.start.as_millis(), window.end.as_millis(), *key, [counted(left), counted(right)])]
            };
            let (left, right) = (left.key_by(|event| event.key), right.key_by(|event| event.key));
            let joined = left.window_join(right, windows, rows).key_by(|row| row.2).process(Timed);
            let timed = joined.map(|(row, at)| {
                assert_eq!(at, row.1 - 1);
                row
            });
            timed.boxed()
        })
    }

    fn by_window(&self, windows_of: impl Fn(&Event) -> Vec<(i64, i64)>) -> Vec<Row> {
        let mut rows: BTreeMap<(i64, i64, u8), [(usize, i64); 2]> = BTreeMap::new();
        for (side, inputs) in [&self.left, &self.right].into_iter().enumerate() {
            for event in inputs.all() {
                for (start, end) in windows_of(&event) {
                    let (count, sum) = &mut rows.entry((start, end, event.key)).or_default()[side];
                    (*count, *sum) = (*count + 1, *sum + event.value);
                }
            }
        }
        rows.into_iter().map(|((start, end, key), sides)| (start, end, key, sides)).collect()
    }

    /// The session that an event of either side belongs to.
    fn session_of(&self, event: &Event, gap: i64) -> (i64, i64) {
        let both = self.left.all().into_iter().chain(self.right.all());
        let times: BTreeSet<i64> =
            both.filter(|other| other.key == event.key).map(|other| other.at).collect();
        let (mut start, mut last) = (event.at, event.at);
        for time in times.range(..event.at).rev() {
            if start - time <= gap {
                start = *time;
            }
        }
        for time in times.range(event.at..) {
            if time - last <= gap {
                last = *time;
            }
        }
        (start, last + gap)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn connected_streams_share_states_and_timers(two in two()) {
        let sums = two.run(|left, right| {
            let (left, right) = (left.key_by(|event| event.key), right.key_by(|event| event.key));
            left.connect(right).process(Sums::default())
        });
        let (left, right) = (two.left.all(), two.right.all());
        let moments: BTreeSet<_> = left.iter().chain(&right).map(|event| (event.key, event.at)).collect();
        let until = |events: &[Event], key: u8, at: i64| -> i64 {
            let own = events.iter().filter(|event| event.key == key && event.at <= at);
            own.map(|event| event.value).sum()
        };
        let expected = moments.into_iter().map(|(key, at)| (key, at, until(&left, key, at), until(&right, key, at)));
        prop_assert_eq!(sums, expected.collect::<Vec<_>>());
    }

    #[test]
    fn an_interval_join_gives_each_pair_within_its_bounds_once(two in two(), lower in -60_i64..60, length in 0_i64..60) {
        let upper = lower + length;
        let pairs = two.run(move |left, right| {
            let (left, right) = (left.key_by(|event| event.key), right.key_by(|event| event.key));
            let pairs = left.interval_join(right, relative(lower), relative(upper), |a, b| (*a, *b));
            pairs.key_by(|(a, _)| a.key).process(Timed)
        });
        let mut expected = Vec::new();
        for a in two.left.all() {
            for b in two.right.all() {
                if a.key == b.key && a.at + lower <= b.at && b.at <= a.at + upper {
                    expected.push(((a, b), a.at.max(b.at)));
                }
            }
        }
        expected.sort_unstable();
        prop_assert_eq!(pairs, expected);
    }

    #[test]
    fn a_window_join_sees_both_sides_of_every_window(two in two(), size in 1_i64..90, slide in 1_i64..60) {
        let tumbling = |event: &Event| {
            let start = event.at - event.at.rem_euclid(size);
            vec![(start, start + size)]
        };
        prop_assert_eq!(two.window_join(Windows::tumbling(ms(size))), two.by_window(tumbling));
        let windows_of = sliding(size, slide);
        let expected = two.by_window(|event| windows_of(event.at));
        prop_assert_eq!(two.window_join(Windows::sliding(ms(size), ms(slide))), expected);
    }

    #[test]
    fn a_window_join_has_sessions_of_both_sides(two in two(), gap in 1_i64..40) {
        let expected = two.by_window(|event| vec![two.session_of(event, gap)]);
        prop_assert_eq!(two.window_join(Windows::session(ms(gap))), expected);
    }

    #[test]
    fn a_temporal_join_finds_the_version_of_the_moment(two in two()) {
        // Versions of one moment are alike, for which of them comes last is not defined.
        let version = |event: &Event| i64::from(event.key) * 1000 + event.at;
        let joined = two.run(move |left, right| {
            let (left, right) = (left.key_by(|event| event.key), right.key_by(|event| event.key));
            let joined = left.temporal_join(right, move |event, valid| (event, valid.map(version)));
            joined.key_by(|(event, _)| event.key).process(Timed)
        });
        let versions = two.right.all();
        let valid = |event: &Event| {
            let own = versions.iter().filter(|version| version.key == event.key && version.at <= event.at);
            own.max_by_key(|version| version.at).map(version)
        };
        let mut expected: Vec<_> =
            two.left.all().iter().map(|event| ((*event, valid(event)), event.at)).collect();
        expected.sort_unstable();
        prop_assert_eq!(joined, expected);
    }

    #[test]
    fn every_subtask_knows_what_was_broadcast(two in two()) {
        let sums = two.run(|left, right| {
            left.key_by(|event| event.key).broadcast(right).process(ControlSum)
        });
        let control = two.right.all();
        let until = |at: i64| -> i64 {
            control.iter().filter(|event| event.at <= at).map(|event| event.value).sum()
        };
        let moments: BTreeSet<_> = two.left.all().iter().map(|event| (event.key, event.at)).collect();
        let expected = moments.into_iter().map(|(key, at)| (key, at, until(at)));
        prop_assert_eq!(sums, expected.collect::<Vec<_>>());
    }

    #[test]
    fn every_record_is_joined_or_counted_as_late(two in two()) {
        let own = two.clone();
        let describe = move |job: &mut Job| {
            let left = own.left.idling("left", job)?.key_by(|event| event.key);
            let right = own.right.idling("right", job)?.key_by(|event| event.key);
            Ok(left.temporal_join(right, |event, _| event))
        };
        // Counters are those of one run.
        let given = run(describe, |test| {
            two.give(test);
            two.left.faults.none().apply(test);
        });
        let given = given.unwrap();
        let late = given.run.counter("temporal_join-1", "late");
        prop_assert_eq!(given.items.len() as u64 + late, two.left.all().len() as u64);
    }
}

/// Passes the left stream on.
#[derive(Clone)]
struct Left;

impl CoProcess<u32, (u32, u32), u32> for Left {
    type Out = (u32, u32);

    fn process_left(&mut self, record: &(u32, u32), cx: &mut Context<'_, u32, (u32, u32)>) -> Result<()> {
        cx.emit(*record);
        Ok(())
    }

    fn process_right(&mut self, record: &u32, _: &mut Context<'_, u32, (u32, u32)>) -> Result<()> {
        Err(Error::bad_record("it is refused").with("record", record))
    }
}

#[test]
fn records_of_a_key_keep_their_order_on_the_way_to_an_operator_over_two_streams() {
    let describe = |job: &mut Job| {
        let records: Vec<_> = (0..3000_u32).map(|n| (n % 7, n)).collect();
        let (first, second) = (job.values("first", records), job.values("second", Vec::new()));
        let left = first.union(second).key_by(|record| record.0);
        let right = job.values("right", Vec::new()).key_by(|n: &u32| *n);
        Ok(left.connect(right).process(Left))
    };
    for seed in 0..3 {
        let set = |test: &mut FlareTest| {
            test.seed(seed);
            test.set("job.parallelism", 3);
            test.set("job.batch", 4);
        };
        let given = run(describe, set).unwrap();
        for key in 0..7 {
            let own: Vec<_> = given.items.iter().filter(|record| record.0 == key).collect();
            assert!(own.is_sorted() && own.len() >= 3000 / 7, "{key}: {own:?}");
        }
    }
}

#[test]
fn a_bad_record_of_one_side_lands_as_it_is() {
    let describe = |job: &mut Job| {
        let left = job.values("left", vec![(1_u32, 2_u32)]).key_by(|record| record.0);
        let right = job.values("right", vec![7_u32]).key_by(|n| *n);
        Ok(left.connect(right).process(Left))
    };
    let run = run(describe, |_| {}).unwrap().run;
    assert_eq!((run.dirty.len(), run.dirty[0].raw.as_str()), (1, "7"));
    assert_eq!(run.summary.dirty["process-1 convert bad_record"], 1);
}

/// Refuses every control record.
#[derive(Clone)]
struct Refusing;

impl BroadcastProcess<u32, u32, u32> for Refusing {
    type Out = u32;
    type Name = ();
    type Value = ();

    fn process(&mut self, _: &u32, _: &BTreeMap<(), ()>, _: &mut Context<'_, u32, u32>) -> Result<()> {
        Ok(())
    }

    fn process_control(&mut self, _: &u32, _: &mut BTreeMap<(), ()>) -> Result<()> {
        Err(Error::bad_record("it is refused"))
    }
}

#[test]
fn a_bad_control_record_is_turned_aside_once() {
    let describe = |job: &mut Job| {
        let keyed = job.values("numbers", (0..100_u32).collect()).key_by(|n| *n);
        let control = job.values("control", vec![7_u32, 8]);
        Ok(keyed.broadcast(control).process(Refusing))
    };
    let run = run(describe, |test| test.set("job.parallelism", 3)).unwrap().run;
    let raw: Vec<_> = run.dirty.iter().map(|record| &record.raw).collect();
    assert_eq!(raw, ["7", "8"]);
}

#[test]
fn refuses_an_interval_that_ends_before_it_begins() {
    let describe = |job: &mut Job, out: Collected<u32>| {
        let (left, right) = (job.values("left", vec![1_u32]), job.values("right", vec![1_u32]));
        let (left, right) = (left.key_by(|n| *n), right.key_by(|n| *n));
        left.interval_join(right, After(ms(5)), Before(ms(5)), |a, b| a + b).for_each(out.collector());
        Ok(())
    };
    let error = check(describe, |runner| runner).map(|_| ()).unwrap_err().report();
    assert!(error.contains("bad-interval") && error.contains("joins.rs"), "{error}");
}

#[test]
fn a_join_names_the_remedy_where_there_is_no_event_time() {
    let describe = |job: &mut Job, out: Collected<u32>| {
        let (left, right) = (job.values("left", vec![1_u32]), job.values("right", vec![1_u32]));
        // One side with event time is not enough.
        let left = left.event_time(|_| Timestamp::from_millis(1), flare::Watermarks::monotonic());
        let (left, right) = (left.shared(), right.shared());
        let sides = || (left.stream().key_by(|n| *n), right.stream().key_by(|n| *n));
        let ((one, other), (two, another), (three, last)) = (sides(), sides(), sides());
        let pairs = one.interval_join(other, Before(ms(5)), After(ms(5)), |a, b| a + b);
        let versions = two.temporal_join(another, |n, _| n);
        let windows = three.window_join(last, flare::Windows::tumbling(ms(5)), |key, _, _, _| Some(*key));
        pairs.union(versions).union(windows).for_each(out.collector());
        Ok(())
    };
    let report = check(describe, |runner| runner).map(|_| ()).unwrap_err().report();
    let kinds =
        ["3 problems", "an interval join", "a temporal join", "a window", "joins.rs:", "on both streams"];
    for expected in kinds {
        assert!(report.contains(expected), "{expected} in {report}");
    }
}
