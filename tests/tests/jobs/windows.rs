//! Keyed operators and windows, compared with a plain evaluation of all records at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use flare::keyed::{Context, Count, Declare, MapState, Process, Sum, Timer, ValueState, Window};
use flare::prelude::*;
use flare::source::{Intake, Meta, Progress, Source, async_trait};
use flare::{Watermarks, Windows};
use proptest::prelude::*;

use crate::inputs::{Event, Inputs, cases, inputs, ms};
use crate::support::{Collected, check, run};

/// A window's start and end, a key, and a result.
type Row = (i64, i64, u8, i64);

fn row(key: &u8, window: Window, result: i64) -> Row {
    (window.start.as_millis(), window.end.as_millis(), *key, result)
}

fn by_window(events: &[Event], windows_of: impl Fn(i64) -> Vec<(i64, i64)>) -> Vec<Row> {
    let mut sums: BTreeMap<(i64, i64, u8), i64> = BTreeMap::new();
    for event in events {
        for (start, end) in windows_of(event.at) {
            *sums.entry((start, end, event.key)).or_default() += event.value;
        }
    }
    sums.into_iter().map(|((start, end, key), sum)| (start, end, key, sum)).collect()
}

pub(crate) fn sliding(size: i64, slide: i64) -> impl Fn(i64) -> Vec<(i64, i64)> {
    move |at| {
        let starts = (-1 - size / slide..500).map(|number| number * slide);
        starts
            .filter(|start| (*start..start + size).contains(&at))
            .map(|start| (start, start + size))
            .collect()
    }
}

fn sessions(events: &[Event], gap: i64) -> Vec<Row> {
    let mut rows = Vec::new();
    for key in events.iter().map(|event| event.key).collect::<BTreeSet<_>>() {
        let mut own: Vec<_> = events.iter().filter(|event| event.key == key).collect();
        own.sort_by_key(|event| event.at);
        let mut open: Option<Row> = None;
        for event in own {
            match &mut open {
                Some((_, end, _, sum)) if event.at <= *end => {
                    *end = event.at + gap;
                    *sum += event.value;
                }
                _ => {
                    rows.extend(open.take());
                    open = Some((event.at, event.at + gap, key, event.value));
                }
            }
        }
        rows.extend(open);
    }
    rows.sort_unstable();
    rows
}

fn sums(inputs: &Inputs, windows: Windows) -> Vec<Row> {
    inputs.run(move |inputs, job| {
        let windows = inputs.in_time("left", job)?.key_by(|event| event.key).window(windows);
        Ok(windows.aggregate(Sum(|event: &Event| event.value), row).boxed())
    })
}

/// The last result of each window and key.
fn last_of_each(rows: Vec<Row>) -> Vec<Row> {
    let mut last: BTreeMap<(i64, i64, u8), i64> = BTreeMap::new();
    for (start, end, key, sum) in rows {
        // Values are not negative, so the result of more records is not smaller.
        let known = last.entry((start, end, key)).or_default();
        *known = (*known).max(sum);
    }
    last.into_iter().map(|((start, end, key), sum)| (start, end, key, sum)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn tumbling_windows_hold_what_falls_into_them(inputs in inputs(), size in 1_i64..90, offset in 0_i64..90) {
        let windows = Windows::tumbling(ms(size)).offset(ms(offset));
        let expected = by_window(&inputs.all(), |at| {
            let start = at - (at - offset).rem_euclid(size);
            vec![(start, start + size)]
        });
        prop_assert_eq!(sums(&inputs, windows), expected);
    }

    #[test]
    fn sliding_windows_share_what_falls_into_several(inputs in inputs(), size in 1_i64..90, slide in 1_i64..60) {
        let expected = by_window(&inputs.all(), sliding(size, slide));
        prop_assert_eq!(sums(&inputs, Windows::sliding(ms(size), ms(slide))), expected);
    }

    #[test]
    fn sessions_end_where_a_gap_begins(inputs in inputs(), gap in 1_i64..40) {
        prop_assert_eq!(sums(&inputs, Windows::session(ms(gap))), sessions(&inputs.all(), gap));
    }

    #[test]
    fn late_records_renew_the_results_of_windows_that_wait_for_them(inputs in inputs(), size in 1_i64..60, slide in 1_i64..60) {
        let late = |windows: Windows| {
            let rows = inputs.run(move |inputs, job| {
                let keyed = inputs.out_of_time("left", job)?.key_by(|event| event.key);
                let windows = keyed.window(windows.allowed_lateness(ms(10_000)));
                Ok(windows.aggregate(Sum(|event: &Event| event.value), row).boxed())
            });
            last_of_each(rows)
        };
        prop_assert_eq!(late(Windows::sliding(ms(size), ms(slide))), by_window(&inputs.all(), sliding(size, slide)));
    }

    #[test]
    fn every_record_is_in_a_window_or_late(inputs in inputs(), size in 1_i64..60, gap in 1_i64..40) {
        for windows in [Windows::tumbling(ms(size)), Windows::session(ms(gap))] {
            let seen = inputs.run(move |inputs, job| {
                let keyed = inputs.idling("left", job)?.key_by(|event| event.key);
                let (counts, late) = keyed.window(windows).aggregate_with_late("late", Count, |_, _, count| count);
                Ok(counts.map(|count| (false, count)).union(late.map(|_| (true, 1))))
            });
            prop_assert_eq!(seen.iter().map(|(_, count)| *count).sum::<u64>(), inputs.all().len() as u64);
        }
    }

    #[test]
    fn running_results_count_every_record_once(inputs in inputs()) {
        let counts = inputs.run(|inputs, job| {
            Ok(inputs.idling("left", job)?.key_by(|event| event.key).count())
        });
        let mut expected: Vec<(u8, u64)> = Vec::new();
        for event in inputs.all() {
            let before = expected.iter().filter(|(key, _)| *key == event.key).count() as u64;
            expected.push((event.key, before + 1));
        }
        expected.sort_unstable();
        prop_assert_eq!(counts, expected);
    }

    #[test]
    fn timers_of_a_key_fire_once_when_event_time_has_passed(inputs in inputs(), quiet in 1_i64..60) {
        let silent = inputs.run(move |inputs, job| {
            let keyed = inputs.in_time("left", job)?.key_by(|event| event.key);
            Ok(keyed.process(Silence { quiet, ..Silence::default() }))
        });
        let mut expected: Vec<_> =
            sessions(&inputs.all(), quiet).iter().map(|(_, end, key, _)| (*key, *end)).collect();
        expected.sort_unstable();
        prop_assert_eq!(silent, expected);
    }
}

/// Tells when a key has had no record for a while: when its sessions end.
#[derive(Clone, Default)]
struct Silence {
    quiet: i64,
    seen: MapState<i64, ()>,
}

impl Process<u8, Event> for Silence {
    type Out = (u8, i64);

    fn open(&mut self, states: &mut Declare<'_, u8>) -> Result<()> {
        self.seen = states.map("seen")?;
        Ok(())
    }

    fn process(&mut self, event: &Event, cx: &mut Context<'_, u8, (u8, i64)>) -> Result<()> {
        self.seen.insert(cx, event.at, ())?;
        cx.set_timer(Timestamp::from_millis(event.at + self.quiet));
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context<'_, u8, (u8, i64)>) -> Result<()> {
        let Timer::Event(at) = timer else { return Ok(()) };
        let (key, at) = (*cx.key(), at.as_millis());
        let within = at - self.quiet + 1..=at;
        let is_silent = !self.seen.iter(cx)?.any(|(seen, ())| within.contains(seen));
        if is_silent {
            cx.emit((key, at));
        }
        Ok(())
    }
}

#[test]
fn count_windows_take_so_many_records_of_a_key() {
    let describe = |job: &mut Job| {
        let keyed = job.values("numbers", (0..100_u32).collect()).key_by(|n| n % 3);
        Ok(keyed.count_window(10, Count, |key, count| (*key, count)).boxed())
    };
    let given = run(describe, |test| test.set("job.parallelism", 2)).unwrap();
    assert_eq!(given.sorted(), [[(0, 10); 3], [(1, 10); 3], [(2, 10); 3]].concat());
}

#[test]
fn names_the_remedy_where_there_is_no_event_time() {
    let describe = |job: &mut Job, out: Collected<u64>| {
        let keyed = job.values("numbers", vec![1_u32]).key_by(|n| *n);
        let windows = keyed.window(Windows::tumbling(ms(10)));
        windows.aggregate(Count, |_, _, count| count).for_each(out.collector());
        Ok(())
    };
    let error = check(describe, |runner| runner).map(|_| ()).unwrap_err();
    let report = error.report();
    assert_eq!(error.kind(), flare::ErrorKind::Config);
    for expected in ["no-event-time", "windows.rs:", "`.event_time(…)`", "`.processing_time()`"] {
        assert!(report.contains(expected), "{expected} in {report}");
    }
}

#[test]
fn a_source_that_may_give_event_time_is_believed_until_it_does_not() {
    struct Once(bool);
    #[async_trait]
    impl Source<u32> for Once {
        async fn read(&mut self, intake: &mut Intake<u32>) -> Result<Progress> {
            if std::mem::replace(&mut self.0, true) {
                return Ok(Progress::End);
            }
            intake.batch.push(1, Meta::NONE);
            Ok(Progress::More)
        }
    }
    let describe = |job: &mut Job, out: Collected<u64>| {
        let own = job.source_with("own", |_| async { Ok(Once(false)) }).parallelism(1);
        let windows = own.key_by(|n| *n).window(Windows::tumbling(ms(10)));
        windows.aggregate(Count, |_, _, count| count).for_each(out.collector());
        Ok(())
    };
    let report = check(describe, |runner| runner).map(|_| ()).unwrap_err().report();
    assert!(report.contains("`.event_time(…)`") && report.contains("window-1"), "{report}");
}

#[test]
fn a_window_behind_another_goes_by_its_event_time() {
    let describe = |job: &mut Job, out: Collected<u64>| {
        let keyed = job.values("numbers", vec![1_u32, 2]).key_by(|_| 0_u8);
        let first = keyed.window(Windows::tumbling(ms(10)).processing_time()).count(|_, _, count| count);
        let second = first.key_by(|_| 0_u8).window(Windows::tumbling(ms(60_000)));
        second.sum(|count| *count, |_, _, sum| sum).for_each(out.collector());
        Ok(())
    };
    let (_, out) = check(describe, |runner| runner).unwrap();
    assert_eq!(out.items().into_iter().sum::<u64>(), 2);
}

#[test]
fn refuses_windows_that_cannot_be_and_states_of_one_name() {
    #[derive(Clone)]
    struct Twice;
    impl Process<u32, u32> for Twice {
        type Out = u32;
        fn open(&mut self, states: &mut Declare<'_, u32>) -> Result<()> {
            states.value::<u32>("n")?;
            states.list::<u32>("n").map(drop)
        }
        fn process(&mut self, _: &u32, _: &mut Context<'_, u32, u32>) -> Result<()> {
            Ok(())
        }
    }
    let describe = |job: &mut Job, out: Collected<u32>| {
        let shared = job.values("numbers", vec![1_u32]).shared();
        let keyed = shared.stream().key_by(|n| *n).window(Windows::tumbling(Duration::ZERO));
        keyed
            .aggregate(Count, |_, _, _| 0)
            .union(shared.stream().key_by(|n| *n).process(Twice))
            .for_each(out.collector());
        Ok(())
    };
    let error = check(describe, |runner| runner).map(|_| ()).unwrap_err().report();
    assert!(
        error.contains("bad-window") && error.contains("bad-state") && error.contains("state=n"),
        "{error}"
    );
}

/// Turns every second record of a key aside, and forgets what it knows of a key after a while.
#[derive(Clone, Default)]
struct EverySecond(ValueState<u64>);

impl Process<u32, u32> for EverySecond {
    type Out = u32;

    fn open(&mut self, states: &mut Declare<'_, u32>) -> Result<()> {
        self.0 = states.value("count")?;
        Ok(())
    }

    fn process(&mut self, n: &u32, cx: &mut Context<'_, u32, u32>) -> Result<()> {
        match self.0.update(cx, |count| {
            *count += 1;
            *count
        })? {
            count if count % 2 == 0 => Err(Error::bad_record("every second is refused")),
            _ => {
                cx.emit(*n);
                Ok(())
            }
        }
    }
}

#[test]
fn a_bad_record_is_turned_aside_and_the_stream_goes_on() {
    let describe = |job: &mut Job| {
        let keyed = job.values("numbers", vec![1, 2, 1, 1, 2_u32]).key_by(|n| *n);
        Ok(keyed.process(EverySecond::default()).id("second"))
    };
    let given = run(describe, |_| {}).unwrap();
    let raw: Vec<_> = given.run.dirty.iter().map(|record| record.raw.as_str()).collect();
    assert_eq!((raw, given.items), (vec!["1", "2"], vec![1, 2, 1]));
    assert_eq!(
        given.run.summary.dirty.into_iter().collect::<Vec<_>>(),
        [("second convert bad_record".to_owned(), 2)]
    );
}

#[test]
fn days_follow_the_midnight_of_a_time_zone() {
    let describe = |job: &mut Job| {
        // From noon to noon, around the night in which clocks go forward: 23 hours between the midnights.
        let start = 1_774_695_600_000_i64;
        let times: Vec<i64> = (0..48).map(|hour| start + hour * 3_600_000).collect();
        let times = job.values("hours", times);
        let timed = times.event_time(|at| Timestamp::from_millis(*at), Watermarks::monotonic());
        let days = timed.key_by(|_| 0_u8).window(Windows::days(1, "Europe/Berlin"));
        Ok(days.aggregate(Count, |_, window, hours| (window.start.to_string(), hours)).boxed())
    };
    let days = run(describe, |_| {}).unwrap().items;
    let hours = |day: &str| days.iter().find(|(start, _)| start.starts_with(day)).map(|(_, hours)| *hours);
    assert_eq!(hours("2026-03-28T23:00"), Some(23), "{days:?}");
    let unknown = |job: &mut Job, out: Collected<u64>| {
        let days = job.values("n", vec![1_i64]).key_by(|_| 0_u8).window(Windows::days(1, "Europe/Berln"));
        days.aggregate(Count, |_, _, count| count).for_each(out.collector());
        Ok(())
    };
    let error = check(unknown, |runner| runner).map(|_| ()).unwrap_err().report();
    assert!(error.contains("`Europe/Berln` is no time zone"), "{error}");
}

#[test]
fn sessions_give_their_results_in_the_order_of_their_ends() {
    let describe = |job: &mut Job| {
        let event = |key, at| Event { key, at, value: 1 };
        // The first session grows twice, and ends last.
        let events = vec![event(1, 0), event(2, 5), event(1, 8), event(1, 16), event(3, 1)];
        let timed = job.values("events", events).event_time(
            |event| Timestamp::from_millis(event.at),
            Watermarks::bounded(Duration::from_secs(1)),
        );
        let sessions = timed.key_by(|event| event.key).window(Windows::session(ms(10)));
        Ok(sessions.aggregate(Count, |key, window, _| (*key, window.end.as_millis())).boxed())
    };
    assert_eq!(run(describe, |_| {}).unwrap().items, [(3, 11), (2, 15), (1, 26)]);
}
