//! Jobs that crash, in the test kit: whatever the moment, they give what they give without a crash.

use std::collections::BTreeMap;
use std::time::Duration;

use flare::keyed::RelativeTime::{After, Before};
use flare::keyed::{BroadcastProcess, Context, Count, Declare, MapState, Process, Timer, Ttl, ValueState};
use flare::prelude::*;
use flare::test::{Crash, Exploration, FlareTest, MockSource, Savepoint, TestSink};
use flare::{Watermarks, Windows};

use crate::inputs::cases;

/// What happens to a key.
#[kafka(topic = "events", event_time = "at", out_of_orderness = "20ms")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Event {
    pub(super) key: u64,
    pub(super) value: i64,
    pub(super) at: Timestamp,
}

/// A second stream of the same kind.
#[kafka(topic = "others", event_time = "at", out_of_orderness = "20ms")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Other {
    pub(super) key: u64,
    pub(super) value: i64,
    pub(super) at: Timestamp,
}

/// What came out, in words.
#[kafka(topic = "lines")]
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) key: u64,
    pub(super) text: String,
}

pub(super) fn line(key: u64, text: impl ToString) -> Line {
    Line { key, text: text.to_string() }
}

pub(super) fn event(key: u64, value: i64, millis: i64) -> Event {
    Event { key, value, at: Timestamp::from_millis(millis) }
}

/// Events of four keys, a little out of order.
fn events() -> Vec<Event> {
    (0..24).map(|n| event(n as u64 % 4, n, n * 7 + (n % 3) * 9)).collect()
}

fn others() -> Vec<Other> {
    let other = |n: i64| Other { key: n as u64 % 4, value: -n, at: Timestamp::from_millis(n * 11) };
    (0..14).map(other).collect()
}

/// Runs the job without a fault, and then in many ways with crashes: each time the same lines must come.
#[track_caller]
fn explore(name: &'static str, describe: fn(&mut Job) -> Result<()>) {
    explore_on("memory", cases(), name, describe);
}

#[track_caller]
fn explore_on(backend: &str, cases: u32, name: &'static str, describe: fn(&mut Job) -> Result<()>) {
    let run = |prepare: &dyn Fn(&mut FlareTest)| {
        let mut test = FlareTest::described(name, describe);
        test.source(MockSource::of(events()));
        let uses_others = ["joined", "shared"].iter().any(|with| name.starts_with(with));
        if uses_others {
            test.source(MockSource::of(others()));
        }
        let out = test.sink::<Line>();
        test.set("state.backend", backend);
        prepare(&mut test);
        test.run().unwrap();
        let mut lines = out.records();
        lines.sort();
        lines
    };
    let expected = run(&|_| {});
    assert!(expected.len() > 3, "{expected:?}");
    Exploration::of(cases.into()).run(|case| assert_eq!(run(&|test| case.apply(test)), expected));
}

#[test]
fn running_results_survive_crashes() {
    explore("sums", |job| {
        let events = job.source::<Event>()?.key_by(|event| event.key);
        let sums = events.sum(|event| event.value).map(|(key, sum)| line(key, sum));
        sums.sink::<Line>()
    });
    explore("reduced", |job| {
        let events = job.source::<Event>()?.key_by(|event| event.key);
        let last = events.reduce(|known: &mut Event, event| known.value = known.value * 3 + event.value);
        last.map(|event| line(event.key, event.value)).sink::<Line>()
    });
    explore("fives", |job| {
        let events = job.source::<Event>()?.key_by(|event| event.key);
        events.count_window(4, Count, |key, count| line(*key, count)).sink::<Line>()
    });
}

/// Says for every 40 ms what has come in them.
#[derive(Clone, Default)]
struct Alarm {
    sums: MapState<i64, i64>,
    seen: ValueState<u64>,
}

impl Process<u64, Event> for Alarm {
    type Out = Line;

    fn open(&mut self, states: &mut Declare<'_, u64>) -> Result<()> {
        self.sums = states.map("sums")?;
        self.seen = states.ttl(Ttl::after_write(Duration::from_secs(3600))).value("seen")?;
        Ok(())
    }

    fn process(&mut self, event: &Event, cx: &mut Context<'_, u64, Line>) -> Result<()> {
        let end = event.at.as_millis() / 40 * 40 + 40;
        self.sums.update(cx, end, |sum| *sum += event.value)?;
        let seen = self.seen.update(cx, |seen| {
            *seen += 1;
            *seen
        })?;
        cx.emit(line(event.key, format!("number {seen}")));
        cx.set_timer(Timestamp::from_millis(end));
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context<'_, u64, Line>) -> Result<()> {
        let Timer::Event(at) = timer else { return Ok(()) };
        let sum = self.sums.remove(cx, &at.as_millis())?;
        cx.emit(line(*cx.key(), format!("{at} {sum:?}")));
        Ok(())
    }
}

#[test]
fn states_and_timers_survive_crashes() {
    explore("alarm", |job| {
        job.source::<Event>()?.key_by(|event| event.key).process(Alarm::default()).sink::<Line>()
    });
}

#[test]
fn windows_survive_crashes() {
    const MS: fn(u64) -> Duration = Duration::from_millis;
    explore("tumbling", |job| windows(job, Windows::tumbling(MS(50))));
    explore("sliding", |job| windows(job, Windows::sliding(MS(60), MS(20)).allowed_lateness(MS(15))));
    explore("sessions", |job| windows(job, Windows::session(MS(30)).allowed_lateness(MS(15))));
}

pub(super) fn windows(job: &mut Job, windows: Windows) -> Result<()> {
    let counted = job.source::<Event>()?.key_by(|event| event.key).window(windows);
    let (counts, late) = counted.aggregate_with_late("late", Count, |key, window, count| {
        line(*key, format!("{count} until {}", window.end))
    });
    counts.union(late.map(|event| line(event.key, format!("{} late", event.value)))).sink::<Line>()
}

#[test]
fn event_time_given_in_the_job_survives_crashes() {
    explore("stamped", |job| {
        let later = |event: &Event| Timestamp::from_millis(event.at.as_millis() + 3);
        let watermarks = Watermarks::bounded(Duration::from_millis(20));
        let events = job.source::<Event>()?.event_time(later, watermarks).key_by(|event| event.key);
        let counted = events.window(Windows::tumbling(Duration::from_millis(50)));
        counted
            .aggregate(Count, |key, window, count| line(*key, format!("{window:?} {count}")))
            .sink::<Line>()
    });
}

#[test]
fn joins_survive_crashes() {
    explore("joined by interval", |job| {
        let (events, others) = both(job)?;
        let (lower, upper) = (Before(Duration::from_millis(15)), After(Duration::from_millis(25)));
        let pair = |event: &Event, other: &Other| line(event.key, format!("{} {}", event.value, other.value));
        events
            .key_by(|event| event.key)
            .interval_join(others.key_by(|other| other.key), lower, upper, pair)
            .sink::<Line>()
    });
    explore("joined by version", |job| {
        let (events, others) = both(job)?;
        let pair = |event: Event, other: Option<&Other>| {
            line(event.key, format!("{} {:?}", event.value, other.map(|other| other.value)))
        };
        events.key_by(|event| event.key).temporal_join(others.key_by(|other| other.key), pair).sink::<Line>()
    });
    explore("joined by window", |job| {
        let (events, others) = both(job)?;
        let windows = Windows::tumbling(Duration::from_millis(50));
        let pair = |key: &u64, _, events: &[Event], others: &[Other]| {
            let sum: i64 = events.iter().map(|event| event.value).sum();
            Some(line(*key, format!("{sum} {}", others.len())))
        };
        let others = others.key_by(|other| other.key);
        events.key_by(|event| event.key).window_join(others, windows, pair).sink::<Line>()
    });
}

#[test]
#[cfg(feature = "disk-state")]
fn state_on_disk_survives_crashes() {
    let explore = |name, describe| explore_on("disk", cases() / 4, name, describe);
    explore("sums", sums);
    explore("alarm", |job| {
        job.source::<Event>()?.key_by(|event| event.key).process(Alarm::default()).sink::<Line>()
    });
    explore("sliding", |job| {
        windows(job, Windows::sliding(Duration::from_millis(60), Duration::from_millis(20)))
    });
    explore("sessions", |job| windows(job, Windows::session(Duration::from_millis(30))));
}

pub(super) fn both(job: &mut Job) -> Result<(BoxedStream<Event>, BoxedStream<Other>)> {
    Ok((job.source::<Event>()?, job.source::<Other>()?))
}

#[test]
fn a_job_goes_on_at_another_parallelism() {
    let mut test = FlareTest::described("sums", sums);
    let (source, events) = MockSource::by_hand();
    test.source(source);
    let out = test.sink::<Line>();
    let mut live = test.start().unwrap();
    for key in 0..20 {
        events.push(event(key, 1, 0));
    }
    live.checkpoint();
    events.push(event(3, 5, 0));
    live.settle();
    assert_eq!(live.state("sum-1", "result", &3_u64), Some(6_i64));
    live.set("job.parallelism", 4);
    live.crash();
    // What came behind the checkpoint has come again.
    assert_eq!(live.state("sum-1", "result", &3_u64), Some(6_i64));
    for key in 0..20 {
        events.push(event(key, 1, 0));
    }
    events.end();
    let run = live.finish().unwrap();
    assert_eq!(run.summary.ending, "end of input");
    let last: BTreeMap<u64, String> = out.records().into_iter().map(|line| (line.key, line.text)).collect();
    assert_eq!(last.len(), 20);
    assert!(last.iter().all(|(key, sum)| sum == if *key == 3 { "7" } else { "2" }), "{last:?}");
}

fn sums(job: &mut Job) -> Result<()> {
    let events = job.source::<Event>()?.key_by(|event| event.key);
    events.sum(|event| event.value).map(|(key, sum)| line(key, sum)).sink::<Line>()
}

#[test]
fn a_crash_without_a_checkpoint_begins_anew() {
    let mut test = FlareTest::described("sums", sums);
    test.source(MockSource::of([event(1, 1, 0), event(1, 2, 0), event(1, 3, 0)]));
    let out = test.sink::<Line>();
    test.crash(Crash::in_sink(3));
    test.run().unwrap();
    out.assert_eq([line(1, 1), line(1, 3), line(1, 6)]);
}

#[test]
fn a_sink_at_least_once_shows_what_came_twice() {
    let mut test = FlareTest::described("sums", sums);
    test.source(MockSource::of([event(1, 1, 0), event(1, 2, 0), event(1, 3, 0)]));
    let out: TestSink<Line> = test.sink();
    out.at_least_once();
    test.checkpoint_every(1);
    test.crash(Crash::at_barrier(3));
    test.run().unwrap();
    out.assert_eq([line(1, 1), line(1, 3), line(1, 6), line(1, 6)]);
}

#[test]
fn timers_and_watermarks_can_be_seen() {
    let mut test = FlareTest::described("alarm", |job| {
        job.source::<Event>()?.key_by(|event| event.key).process(Alarm::default()).sink::<Line>()
    });
    let (source, events) = MockSource::by_hand();
    test.source(source);
    let out = test.sink::<Line>();
    let mut live = test.start().unwrap();
    assert_eq!(live.watermark("process-1"), None);
    events.push(event(1, 5, 10));
    events.push(event(2, 6, 50));
    live.settle();
    assert_eq!(live.watermark("process-1"), Some(Timestamp::from_millis(29)));
    let due = |key: u64, millis| (Timestamp::from_millis(millis), key);
    assert_eq!(live.timers("process-1"), [due(1, 40), due(2, 80)]);
    events.push(event(2, 6, 61));
    live.settle();
    assert_eq!(live.timers("process-1"), [due(2, 80)]);
    assert_eq!(live.state::<u64, BTreeMap<i64, i64>>("process-1", "sums", &1), None);
    assert_eq!(live.state::<u64, BTreeMap<i64, i64>>("process-1", "sums", &2), Some([(80, 12)].into()));
    assert_eq!(out.take().len(), 4);
    // Nothing was safe.
    live.crash();
    assert_eq!(live.timers("process-1"), [due(2, 80)]);
    assert_eq!(out.records().len(), 4);
    live.finish().unwrap();
}

/// Compares each value with a limit that the control stream sets.
#[derive(Clone, Default)]
struct Limits {
    count: ValueState<u64>,
}

impl BroadcastProcess<u64, Event, Other> for Limits {
    type Out = Line;
    type Name = u64;
    type Value = i64;

    fn open(&mut self, states: &mut Declare<'_, u64>) -> Result<()> {
        self.count = states.value("count")?;
        Ok(())
    }

    fn process(
        &mut self,
        event: &Event,
        shared: &BTreeMap<u64, i64>,
        cx: &mut Context<'_, u64, Line>,
    ) -> Result<()> {
        let count = self.count.update(cx, |count| {
            *count += 1;
            *count
        })?;
        cx.emit(line(event.key, format!("{count} {:?}", shared.get(&event.key))));
        Ok(())
    }

    fn process_control(&mut self, other: &Other, shared: &mut BTreeMap<u64, i64>) -> Result<()> {
        shared.insert(other.key, other.value);
        Ok(())
    }
}

#[test]
fn a_shared_map_survives_a_crash() {
    let mut test = FlareTest::described("limits", |job| {
        let (events, others) = both(job)?;
        events.key_by(|event| event.key).broadcast(others).process(Limits::default()).sink::<Line>()
    });
    let (source, events) = MockSource::by_hand();
    let (control, limits) = MockSource::by_hand();
    test.source(source);
    test.source(control);
    let out = test.sink::<Line>();
    let mut live = test.start().unwrap();
    limits.push(Other { key: 7, value: 70, at: Timestamp::from_millis(0) });
    live.settle();
    events.push(event(7, 1, 0));
    live.checkpoint();
    live.set("job.parallelism", 3);
    live.crash();
    events.push(event(7, 1, 0));
    live.finish().unwrap();
    out.assert_eq([line(7, "1 Some(70)"), line(7, "2 Some(70)")]);
}

#[test]
fn a_savepoint_is_read_from_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sums.savepoint");
    let mut test = FlareTest::described("sums", sums);
    let (source, events) = MockSource::by_hand();
    test.source(source);
    let _out = test.sink::<Line>();
    let mut live = test.start().unwrap();
    events.push(event(1, 41, 0));
    live.checkpoint().save(&file).unwrap();
    drop(live);

    let mut test = FlareTest::described("sums", sums);
    // The position of the savepoint is behind the first record.
    test.source(MockSource::of([event(1, 41, 0), event(1, 1, 0)]));
    test.restore(Savepoint::load(&file).unwrap());
    let out = test.sink::<Line>();
    test.run().unwrap();
    out.assert_eq([line(1, 42)]);

    let mut bytes = std::fs::read(&file).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let error = Savepoint::load(&file).unwrap_err().report();
    assert!(error.contains("checksum") && error.contains("sums.savepoint"), "{error}");
    std::fs::write(&file, &bytes[..last]).unwrap();
    assert!(Savepoint::load(&file).unwrap_err().report().contains("torn"));
    std::fs::write(&file, "something else").unwrap();
    assert!(Savepoint::load(&file).unwrap_err().report().contains("no savepoint"));
}

/// Takes a savepoint of `before` and begins `after` with it.
fn resume(
    before: fn(&mut Job) -> Result<()>,
    after: fn(&mut Job) -> Result<()>,
    drops: bool,
) -> Result<Vec<Line>> {
    let mut test = FlareTest::described("job", before);
    let (source, events) = MockSource::by_hand();
    test.source(source);
    let _out = test.sink::<Line>();
    let mut live = test.start()?;
    events.push(event(1, 41, 0));
    let savepoint = live.checkpoint();
    drop(live);
    let mut test = FlareTest::described("job", after);
    test.source(MockSource::of([event(1, 41, 0), event(1, 1, 0)]));
    test.restore((*savepoint).clone());
    if drops {
        test.drops_state();
    }
    let out = test.sink::<Line>();
    test.run()?;
    Ok(out.records())
}

#[test]
fn a_state_that_does_not_fit_is_refused_with_both_shapes() {
    let by_text = |job: &mut Job| {
        let events = job.source::<Event>()?.key_by(|event| event.key);
        events.sum(|event| event.value as f64).map(|(key, sum)| line(key, sum)).sink::<Line>()
    };
    let error = resume(sums, by_text, false).unwrap_err().report();
    assert!(error.contains("was i64, is f64") && error.contains("sum-1"), "{error}");
    let other_key = |job: &mut Job| {
        let events = job.source::<Event>()?.key_by(|event| event.key.to_string());
        events.sum(|event| event.value).map(|(_, sum)| line(0, sum)).sink::<Line>()
    };
    let error = resume(sums, other_key, false).unwrap_err().report();
    assert!(error.contains("was u64, is text") && error.contains("part=key"), "{error}");
}

#[test]
fn a_state_without_a_place_is_dropped_only_when_allowed() {
    let count = |job: &mut Job| {
        let events = job.source::<Event>()?.key_by(|event| event.key);
        events.count().map(|(key, count)| line(key, count)).sink::<Line>()
    };
    let error = resume(sums, count, false).unwrap_err().report();
    assert!(error.contains("sum-1") && error.contains("count-1"), "{error}");
    assert_eq!(resume(sums, count, true).unwrap(), [line(1, 1)]);
}

#[test]
fn windows_of_another_length_are_refused() {
    let minutes = |job: &mut Job| windows(job, Windows::tumbling(Duration::from_secs(60)));
    let hours = |job: &mut Job| windows(job, Windows::tumbling(Duration::from_secs(3600)));
    let error = resume(minutes, hours, false).unwrap_err().report();
    assert!(error.contains("60000 ms every") && error.contains("3600000 ms every"), "{error}");
    assert!(resume(minutes, minutes, false).unwrap().len() == 1);
}

#[test]
fn windows_with_late_records_have_an_id() {
    let mut test = FlareTest::described("named", |job| {
        let events = job.source::<Event>()?.key_by(|event| event.key);
        let minutes = events.window(Windows::tumbling(Duration::from_secs(60))).id("per-minute");
        let (counts, late) = minutes.aggregate_with_late("late", Count, |key, _, count| line(*key, count));
        counts.union(late.map(|event| line(event.key, "late"))).sink::<Line>()
    });
    let (source, events) = MockSource::by_hand();
    test.source(source);
    let _out = test.sink::<Line>();
    let mut live = test.start().unwrap();
    events.push(event(1, 1, 0));
    assert!(live.checkpoint().operators.contains_key("per-minute"));
    let wrong = live.checkpoint().entries::<u64, u64>("per-minute", "window").unwrap_err().report();
    assert!(wrong.contains("no such state") && wrong.contains("windows"), "{wrong}");
    live.finish().unwrap();
}

#[test]
fn a_mock_source_must_have_what_came_before_the_savepoint() {
    let mut test = FlareTest::described("sums", sums);
    let (source, events) = MockSource::by_hand();
    test.source(source);
    let _out = test.sink::<Line>();
    let mut live = test.start().unwrap();
    events.push(event(1, 41, 0));
    let savepoint = live.checkpoint();
    assert_eq!(live.finish().unwrap().crashes, 0);
    let mut test = FlareTest::described("sums", sums);
    test.source(MockSource::<Event>::empty());
    test.restore((*savepoint).clone());
    let _out = test.sink::<Line>();
    let error = test.run().map(drop).unwrap_err().report();
    assert!(error.contains("behind=1") && error.contains("has=0"), "{error}");
}
