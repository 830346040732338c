//! Jobs that crash between any two steps of a test: time, lateness and the order of two sources are what they would be
//! without a crash, since nothing is read twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flare::keyed::RelativeTime::{After, Before};
use flare::keyed::{Context, Count, Declare, Process, Timer, Ttl, ValueState};
use flare::prelude::*;
use flare::source::{Intake, Meta, Positions, Progress, Source, async_trait};
use flare::test::{FlareTest, MockSource};

use super::crashes::{Event, Line, Other, both, event, line, windows};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// One thing that a test does to a job while it runs.
#[derive(Clone, Copy)]
enum Step {
    /// Key, value, event time.
    Event(u64, i64, i64),
    Other(u64, i64, i64),
    /// Nothing is to be expected of the second stream for now.
    OtherIdle,
    /// Time goes on, in milliseconds.
    Wait(u64),
}

use Step::{Event as E, Other as O, OtherIdle, Wait as W};

/// What comes out, each with the number of the step that it came at.
type Seen = Vec<(usize, Line)>;

/// How a job runs: its parallelism, that behind a crash, and behind which steps it crashes.
type Way<'a> = (usize, usize, &'a dyn Fn(usize) -> bool);

fn run(describe: fn(&mut Job) -> Result<()>, steps: &[Step], (parallelism, then, crashes): Way<'_>) -> Seen {
    let mut test = FlareTest::described("restored", describe);
    test.set("job.parallelism", parallelism);
    let (source, events) = MockSource::by_hand();
    test.source(source);
    let (source, others) = MockSource::by_hand();
    if steps.iter().any(|step| matches!(step, O(..))) {
        test.source(source);
    }
    let out = test.sink::<Line>();
    let (mut live, mut seen) = (test.start().unwrap(), Seen::new());
    for (number, step) in steps.iter().enumerate() {
        match *step {
            E(key, value, at) => events.push(event(key, value, at)),
            O(key, value, at) => others.push(Other { key, value, at: Timestamp::from_millis(at) }),
            OtherIdle => others.idle(),
            W(millis) => live.advance_by(MS(millis)),
        }
        live.settle();
        seen.extend(out.take().into_iter().map(|line| (number, line)));
        if crashes(number) {
            live.checkpoint();
            live.set("job.parallelism", then);
            live.crash();
        }
    }
    live.finish().unwrap();
    seen.extend(out.take().into_iter().map(|line| (steps.len(), line)));
    seen.sort();
    seen
}

/// Crashes the job behind each step, and behind all of them, also to go on at another parallelism.
#[track_caller]
fn crash_everywhere(describe: fn(&mut Job) -> Result<()>, steps: &[Step]) {
    let expected = run(describe, steps, (1, 1, &|_| false));
    assert!(expected.len() > 3, "{expected:?}");
    for (parallelism, then) in [(1, 1), (2, 2), (1, 3), (3, 2), (4, 1)] {
        let check = |crashes: &dyn Fn(usize) -> bool, text: &str| {
            let seen = run(describe, steps, (parallelism, then, crashes));
            assert_eq!(seen, expected, "a crash {text} at the parallelism {parallelism}, then {then}");
        };
        check(&|_| false, "nowhere");
        check(&|_| true, "behind each step");
        (0..steps.len()).for_each(|step| check(&|number| number == step, &format!("behind step {step}")));
    }
}

/// Of several keys, some too late, and some for windows that have given their results.
const LATE: &[Step] = &[
    E(1, 1, 10),
    E(2, 2, 40),
    E(1, 3, 75),
    E(1, 4, 30),
    E(3, 5, 90),
    E(2, 6, 62),
    E(4, 7, 20),
    E(1, 8, 130),
    E(3, 9, 100),
    E(2, 10, 95),
    E(4, 11, 171),
    E(2, 12, 139),
    E(1, 13, 60),
];

#[test]
fn windows_take_late_records_as_before() {
    crash_everywhere(|job| windows(job, Windows::tumbling(MS(50))), LATE);
    crash_everywhere(|job| windows(job, Windows::tumbling(MS(50)).allowed_lateness(MS(30))), LATE);
    crash_everywhere(|job| windows(job, Windows::sliding(MS(60), MS(20)).allowed_lateness(MS(25))), LATE);
    crash_everywhere(|job| windows(job, Windows::session(MS(25)).allowed_lateness(MS(30))), LATE);
}

#[test]
fn windows_of_windows_take_late_records_as_before() {
    let twice = |job: &mut Job| {
        let events = job.source::<Event>()?.key_by(|event| event.key);
        let counts = events
            .window(Windows::sliding(MS(40), MS(20)))
            .aggregate(Count, |key, _, count| (key % 2, count));
        let counts = counts.key_by(|(half, _)| *half).window(Windows::tumbling(MS(60)));
        let sums = counts.aggregate(Sum(|(_, count): &(u64, u64)| *count), |half, window, sum| {
            line(*half, format!("{sum} until {}", window.end))
        });
        sums.sink::<Line>()
    };
    crash_everywhere(twice, LATE);
}

#[test]
fn top_records_of_windows_stay_the_same() {
    let top = |job: &mut Job| {
        let events = job.source::<Event>()?.key_by(|event| event.key % 2);
        let tops = events.window(Windows::tumbling(MS(50))).top_n(2, |event| event.value % 5);
        let text = |top: Vec<Event>| format!("{:?}", top.iter().map(|event| event.value).collect::<Vec<_>>());
        tops.map(move |(key, window, top)| line(key, format!("{} {}", window.end, text(top)))).sink::<Line>()
    };
    crash_everywhere(top, LATE);
}

#[test]
fn running_tops_and_counted_windows_stay_the_same() {
    let top = |job: &mut Job| {
        let events = job.source::<Event>()?.key_by(|event| event.key % 2);
        let values = |top: &[Event]| format!("{:?}", top.iter().map(|event| event.value).collect::<Vec<_>>());
        events.top_n(2, |event| event.value % 5).map(move |(key, top)| line(key, values(&top))).sink::<Line>()
    };
    crash_everywhere(top, LATE);
    let fours = |job: &mut Job| {
        let events = job.source::<Event>()?.key_by(|event| event.key % 2);
        events.count_window(2, Sum(|event: &Event| event.value), |key, sum| line(*key, sum)).sink::<Line>()
    };
    crash_everywhere(fours, LATE);
}

/// Two streams that wait for each other, some records too late.
const BOTH: &[Step] = &[
    O(1, -1, 5),
    E(1, 1, 10),
    E(2, 2, 12),
    O(2, -2, 30),
    O(1, -3, 45),
    E(1, 3, 50),
    E(2, 4, 15),
    O(2, -4, 8),
    E(1, 5, 80),
    O(1, -5, 90),
    O(1, -6, 60),
    E(2, 6, 110),
    E(1, 7, 75),
    O(2, -7, 170),
    E(2, 8, 72),
    E(1, 9, 180),
    O(1, -8, 181),
    E(1, 10, 100),
];

#[test]
fn joins_take_late_records_as_before() {
    let by_interval = |job: &mut Job| {
        let (events, others) = both(job)?;
        let pair = |event: &Event, other: &Other| line(event.key, format!("{} {}", event.value, other.value));
        let (lower, upper) = (Before(MS(30)), After(MS(30)));
        let others = others.key_by(|other| other.key);
        events.key_by(|event| event.key).interval_join(others, lower, upper, pair).sink::<Line>()
    };
    crash_everywhere(by_interval, BOTH);
    let by_version = |job: &mut Job| {
        let (events, others) = both(job)?;
        let pair = |event: Event, other: Option<&Other>| {
            line(event.key, format!("{} {:?}", event.value, other.map(|other| other.value)))
        };
        events.key_by(|event| event.key).temporal_join(others.key_by(|other| other.key), pair).sink::<Line>()
    };
    crash_everywhere(by_version, BOTH);
    let by_window = |job: &mut Job| {
        let (events, others) = both(job)?;
        let pair = |key: &u64, window: Window, events: &[Event], others: &[Other]| {
            let sum: i64 = events.iter().map(|event| event.value).sum();
            Some(line(*key, format!("{sum} {} until {}", others.len(), window.end)))
        };
        let windows = Windows::tumbling(MS(50)).allowed_lateness(MS(25));
        let others = others.key_by(|other| other.key);
        events.key_by(|event| event.key).window_join(others, windows, pair).sink::<Line>()
    };
    crash_everywhere(by_window, BOTH);
}

fn counts_of_both(job: &mut Job) -> Result<()> {
    let (events, others) = both(job)?;
    let others = others.map(|other| event(other.key, other.value, other.at.as_millis()));
    let keyed = events.union(others).key_by(|event| event.key);
    let counted = keyed.window(Windows::tumbling(MS(50)));
    let counts =
        counted.aggregate(Count, |key, window, count| line(*key, format!("{count} until {}", window.end)));
    counts.sink::<Line>()
}

#[test]
fn event_time_goes_on_where_each_source_was() {
    // The second source is far ahead, and then gives nothing more: only the first one moves event time.
    let steps = [
        E(1, 1, 10),
        O(2, 2, 10),
        O(1, 3, 300),
        E(1, 4, 80),
        E(2, 5, 140),
        O(2, 6, 900),
        E(1, 7, 400),
        E(1, 8, 700),
        E(2, 9, 705),
    ];
    crash_everywhere(counts_of_both, &steps);
}

#[test]
fn an_idle_source_stays_idle() {
    let steps = [
        E(1, 1, 10),
        O(2, 2, 10),
        OtherIdle,
        E(1, 3, 80),
        E(2, 4, 140),
        O(1, 5, 150),
        E(1, 6, 300),
        OtherIdle,
        E(2, 7, 310),
        O(2, 8, 320),
    ];
    crash_everywhere(counts_of_both, &steps);
}

#[test]
fn event_time_given_in_the_job_goes_on() {
    let stamped = |job: &mut Job| {
        let (events, others) = both(job)?;
        let at = |event: &Event| Timestamp::from_millis(event.at.as_millis() + 3);
        let events = events.event_time(at, flare::Watermarks::bounded(MS(5)));
        let others = others.map(|other| event(other.key, other.value, other.at.as_millis()));
        let others = others.event_time(at, flare::Watermarks::bounded(MS(5)));
        let counted = events.union(others).key_by(|event| event.key).window(Windows::tumbling(MS(50)));
        counted
            .aggregate(Count, |key, window, count| line(*key, format!("{count} until {}", window.end)))
            .sink::<Line>()
    };
    crash_everywhere(stamped, BOTH);
}

/// Records and times in which windows by the machine's clock end. It begins at a whole second.
const TIMES: &[Step] = &[
    E(1, 1, 0),
    W(7),
    E(2, 2, 0),
    W(8),
    E(1, 3, 0),
    W(11),
    E(3, 4, 0),
    E(1, 5, 0),
    W(3),
    W(21),
    E(2, 6, 0),
    W(5),
    E(4, 7, 0),
    W(40),
    E(1, 8, 0),
];

#[test]
fn windows_by_the_clock_give_results_once() {
    fn by_clock(job: &mut Job, windows: Windows) -> Result<()> {
        let counted = job.source::<Event>()?.key_by(|event| event.key).window(windows.processing_time());
        let counts = counted
            .aggregate(Count, |key, window, count| line(*key, format!("{count} until {}", window.end)));
        counts.sink::<Line>()
    }
    crash_everywhere(|job| by_clock(job, Windows::tumbling(MS(10))), TIMES);
    crash_everywhere(|job| by_clock(job, Windows::session(MS(10))), TIMES);
    crash_everywhere(|job| by_clock(job, Windows::sliding(MS(30), MS(10))), TIMES);
}

#[test]
fn keys_are_forgotten_at_their_time() {
    let once = |job: &mut Job| {
        let events = job.source::<Event>()?.key_by(|event| event.key);
        events.deduplicate(Ttl::after_write(MS(20))).map(|event| line(event.key, event.value)).sink::<Line>()
    };
    crash_everywhere(once, TIMES);
    let quiet = |job: &mut Job| {
        let events = job.source::<Event>()?.key_by(|event| event.key % 2);
        events.deduplicate(Ttl::after_access(MS(12))).map(|event| line(event.key, event.value)).sink::<Line>()
    };
    crash_everywhere(quiet, TIMES);
}

/// Says 10 ms behind each record how many have come.
#[derive(Clone, Default)]
struct Reminder {
    count: ValueState<u64>,
}

impl Process<u64, Event> for Reminder {
    type Out = Line;

    fn open(&mut self, states: &mut Declare<'_, u64>) -> Result<()> {
        self.count = states.value("count")?;
        Ok(())
    }

    fn process(&mut self, _event: &Event, cx: &mut Context<'_, u64, Line>) -> Result<()> {
        self.count.update(cx, |count| *count += 1)?;
        cx.set_processing_timer(cx.processing_time() + MS(10));
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context<'_, u64, Line>) -> Result<()> {
        let count = self.count.get(cx)?.copied();
        cx.emit(line(*cx.key(), format!("{timer:?} {count:?}")));
        Ok(())
    }
}

#[test]
fn timers_by_the_clock_fire_at_their_time() {
    let remind = |job: &mut Job| {
        job.source::<Event>()?.key_by(|event| event.key).process(Reminder::default()).sink::<Line>()
    };
    crash_everywhere(remind, TIMES);
}

#[test]
fn early_results_come_behind_a_crash() {
    let early = |job: &mut Job| windows(job, Windows::tumbling(MS(1000)).early(MS(10)));
    let seen = run(early, &[E(1, 1, 10), E(2, 1, 10), W(10)], (1, 2, &|number| number == 1));
    let at: Vec<_> = seen.iter().map(|(number, line)| (*number, line.key)).collect();
    assert_eq!(at, [(2, 1), (2, 2), (3, 1), (3, 2)]);
}

/// What an interval join remembers of a key.
#[derive(Serialize, Deserialize)]
struct Open {
    left: BTreeMap<i64, Vec<Event>>,
    right: BTreeMap<i64, Vec<Other>>,
    next: Timestamp,
}

/// What a temporal join remembers of a key.
#[derive(Serialize, Deserialize)]
struct Known {
    waiting: BTreeMap<Timestamp, Vec<Event>>,
    versions: BTreeMap<Timestamp, Other>,
}

#[test]
fn joins_forget_behind_a_crash() {
    let mut test = FlareTest::described("joins", |job| {
        let (events, others) = both(job)?;
        let (events, others) = (events.shared(), others.shared());
        let keyed = || (events.stream().key_by(|event| event.key), others.stream().key_by(|other| other.key));
        let (left, right) = keyed();
        left.interval_join(right, Before(MS(10)), After(MS(10)), |_, _| ()).for_each(|()| {});
        let (left, right) = keyed();
        left.temporal_join(right, |_, _| ()).for_each(|()| {});
        Ok(())
    });
    let (source, events) = MockSource::by_hand();
    test.source(source);
    let (source, others) = MockSource::by_hand();
    test.source(source);
    let mut live = test.start().unwrap();
    let push = |key, at| {
        events.push(event(key, 1, at));
        others.push(Other { key, value: 1, at: Timestamp::from_millis(at) });
    };
    push(1, 10);
    push(1, 20);
    live.checkpoint();
    live.crash();
    push(2, 500);
    live.settle();
    assert!(live.state::<u64, Open>("interval_join-1", "records", &1).is_none());
    let known: Known = live.state("temporal_join-1", "records", &1_u64).unwrap();
    assert_eq!((known.waiting.len(), known.versions.len()), (0, 1));
    live.finish().unwrap();
}

/// Gives one number, and notes which positions are committed.
struct One {
    is_given: bool,
    commits: Arc<Mutex<Vec<Positions>>>,
}

fn position(next: i64) -> Positions {
    Positions(vec![("one".to_owned(), next)])
}

#[async_trait]
impl Source<u64> for One {
    async fn read(&mut self, intake: &mut Intake<u64>) -> Result<Progress> {
        if std::mem::replace(&mut self.is_given, true) {
            std::future::pending::<()>().await;
        }
        intake.batch.push(7, Meta::NONE);
        Ok(Progress::More)
    }

    fn positions(&self) -> Positions {
        position(i64::from(self.is_given))
    }

    async fn commit(&mut self, positions: &Positions) -> Result<()> {
        self.commits.lock().unwrap().push(positions.clone());
        Ok(())
    }
}

#[test]
fn a_look_at_a_state_commits_nothing() {
    let commits = Arc::new(Mutex::default());
    let noted = Arc::clone(&commits);
    let test = FlareTest::described("one", move |job| {
        let commits = Arc::clone(&noted);
        let make = move |_| {
            let commits = Arc::clone(&commits);
            async move { Ok(One { is_given: false, commits }) }
        };
        job.source_with("one", make).parallelism(1).key_by(|number| *number).count().for_each(|_| {});
        Ok(())
    });
    let mut live = test.start().unwrap();
    assert_eq!(live.state("count-1", "result", &7_u64), Some(1_u64));
    assert_eq!(*commits.lock().unwrap(), []);
    live.checkpoint();
    assert_eq!(*commits.lock().unwrap(), [position(1)]);
}
