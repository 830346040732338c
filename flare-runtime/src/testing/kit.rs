//! A job under test: what stands in for the outside, and how it went.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::faults::{Crash, Faults};
use super::live::{Idle, LiveTest};
use super::mock_lookup::MockLookup;
use super::mock_source::MockSource;
use super::rig::{Rig, Subjects};
use super::test_sink::TestSink;
use crate::api::{Clock, Figure, Lookup};
use crate::checkpoint::Savepoint;
use crate::config::Place;
use crate::error::Result;
use crate::job::declare::{Connected, LookupRow};
use crate::job::stand_ins::StandIns;
use crate::job::{Job, Selection, Subject, Summary, USER, describe_subject, plan};
use crate::model::{DirtyRecord, Timestamp};

/// Runs a job in a test: its own function unchanged, with stand-ins for its sources, sinks and lookups.
///
/// Nothing outside is asked: a source, sink or lookup of the job that the test does not replace is an error which says
/// what to write. No configuration file and no variable is read but what the test names.
///
/// Time is virtual: it begins at 2026-01-01T00:00:00Z and moves only when nothing else is left to do, to the next
/// moment that somebody waits for. So a timeout of ten minutes takes no time, and what happens follows from the test
/// alone.
pub struct FlareTest {
    subject: Result<Subjects>,
    selection: Selection,
    stand_ins: StandIns,
    dirty: TestSink<DirtyRecord>,
    faults: Faults,
    start: Timestamp,
    seed: Option<u64>,
    savepoint: Option<Savepoint>,
    drops_state: bool,
    /// End the sources by hand.
    enders: Vec<Box<dyn FnOnce() + Send>>,
    /// Have the sinks forget what came behind a barrier.
    roll_backs: Vec<Box<dyn Fn(u64) + Send>>,
}

impl FlareTest {
    /// A test of the job that `#[flare_job]` declares under this name.
    pub fn job(name: &str) -> Self {
        Self::new(Subjects::declared(name))
    }

    /// A test of a job that `describe` describes.
    #[track_caller]
    pub fn described(name: &str, describe: impl Fn(&mut Job) -> Result<()> + 'static) -> Self {
        Self::new(Ok(Subjects::described(name, Place::here(), describe)))
    }

    fn new(subject: Result<Subjects>) -> Self {
        let dirty = TestSink::default();
        // What is turned aside is no record of a sink, by which a test counts.
        let stand_ins = StandIns::new(dirty.taker(Faults::default()));
        // 2026-01-01T00:00:00Z
        let start = Timestamp::from_millis(1_767_225_600_000);
        // Nobody waits for a fuller batch while time stands still, and nobody takes a checkpoint unasked.
        let selection = Selection {
            settings: vec!["job.flush=0s".to_owned(), "job.checkpoint=0s".to_owned()],
            ..Selection::default()
        };
        let mut test = Self {
            subject,
            selection,
            stand_ins,
            dirty: dirty.clone(),
            faults: Faults::default(),
            start,
            seed: None,
            savepoint: None,
            drops_state: false,
            enders: Vec::new(),
            roll_backs: Vec::new(),
        };
        test.rolls_back(&dirty);
        test
    }

    fn rolls_back<T: Send + 'static>(&mut self, sink: &TestSink<T>) {
        let sink = sink.clone();
        self.roll_backs.push(Box::new(move |barrier| sink.roll_back(barrier)));
    }

    /// Puts `mock` in the place of the source of the struct `T`.
    pub fn source<T: Connected + Clone + Send + 'static>(&mut self, mock: MockSource<T>) {
        self.add_source(None, mock);
    }

    /// As [`FlareTest::source`], for the connector of that name of a struct with several.
    pub fn source_named<T: Connected + Clone + Send + 'static>(&mut self, name: &str, mock: MockSource<T>) {
        self.add_source(Some(name), mock);
    }

    fn add_source<T: Clone + Send + 'static>(&mut self, name: Option<&str>, mock: MockSource<T>) {
        self.enders.extend(mock.ender());
        self.stand_ins.add::<T>("source", name, mock.stand_in(self.faults.clone()));
    }

    /// Puts a collector in the place of the sink of the struct `T`, and returns it.
    pub fn sink<T: Connected + Send + 'static>(&mut self) -> TestSink<T> {
        self.add_sink(None)
    }

    /// As [`FlareTest::sink`], for the connector of that name of a struct with several.
    pub fn sink_named<T: Connected + Send + 'static>(&mut self, name: &str) -> TestSink<T> {
        self.add_sink(Some(name))
    }

    fn add_sink<T: Send + 'static>(&mut self, name: Option<&str>) -> TestSink<T> {
        let sink = TestSink::default();
        self.stand_ins.add::<T>("sink", name, sink.taker(self.faults.clone()));
        self.rolls_back(&sink);
        sink
    }

    /// Puts `mock` in the place of the lookup of the struct `V`.
    pub fn lookup<V: LookupRow>(&mut self, mock: MockLookup<V>) {
        let mock: Arc<dyn Lookup<V::Key, V>> = Arc::new(mock);
        self.stand_ins.add::<V>("lookup", None, mock);
    }

    /// Sets a setting by its key, above the attributes.
    pub fn set(&mut self, key: &str, value: impl std::fmt::Display) {
        self.selection.settings.push(format!("{key}={value}"));
    }

    /// Reads this configuration file.
    pub fn config(&mut self, file: impl Into<PathBuf>) {
        self.selection.config = Some(file.into());
    }

    /// When the test's time begins.
    pub fn starts_at(&mut self, start: Timestamp) {
        self.start = start;
    }

    /// Has subtasks interleave in another order, which follows from `seed`.
    pub fn seed(&mut self, seed: u64) {
        self.seed = Some(seed);
    }

    /// Has the job crash at a moment, and begin again from its last completed checkpoint; without one, from the
    /// beginning. May be called for several moments.
    pub fn crash(&mut self, crash: Crash) {
        self.faults.add(crash);
    }

    /// Takes a checkpoint whenever the mock sources have given `records` more: the barrier follows the last of them.
    /// Without it, and without a `job.checkpoint` of the test, none is taken but those that it asks for.
    pub fn checkpoint_every(&mut self, records: u64) {
        self.faults.checkpoint_every(records);
    }

    /// Has the job begin with a savepoint, which may be one of an earlier version of the job:
    /// `test.restore(Savepoint::load("tests/savepoints/orders-v1.savepoint")?)`.
    pub fn restore(&mut self, savepoint: Savepoint) {
        self.savepoint = Some(savepoint);
    }

    /// Allows that state of the savepoint is dropped for which the job has no place.
    pub fn drops_state(&mut self) {
        self.drops_state = true;
    }

    /// The graph of the job, as the job's binary shows it by `plan`; nothing is run.
    ///
    /// # Errors
    /// What is wrong with the job or the test.
    pub fn plan(self) -> Result<String> {
        let subject = Subject { stand_ins: Some(Arc::new(self.stand_ins)), ..self.subject?.make()? };
        let mut described = describe_subject(subject, &self.selection)?;
        let text = plan(&described).text;
        std::mem::take(&mut described.builder.problems).into_result()?;
        Ok(text)
    }

    pub(super) fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// Runs the job to the end of its input.
    ///
    /// # Errors
    /// What is wrong with the job or the test, or what made the job fail; with a seed, that is named.
    pub fn run(self) -> Result<TestRun> {
        self.start()?.finish()
    }

    /// Starts the job, and lets it run until it waits for input or time.
    ///
    /// # Errors
    /// What is wrong with the job or the test.
    pub fn start(self) -> Result<LiveTest> {
        let Self { subject, selection, stand_ins, dirty, faults, start, seed, .. } = self;
        let Self { savepoint, drops_state, enders, roll_backs, .. } = self;
        let subject = subject?;
        let idle = Idle::default();
        let runtime = idle.runtime()?;
        let clock = {
            let _inside = runtime.enter();
            Clock::starting_at(start)
        };
        let stand_ins = Arc::new(stand_ins);
        let rig =
            Rig { subject, selection, stand_ins, faults, seed, drops_state, clock, crashes: 0, roll_backs };
        let run = rig.begin(&runtime, savepoint.map(Arc::new))?;
        let mut live = LiveTest { runtime, idle, rig, run, dirty, enders };
        live.run_until_idle()?;
        Ok(live)
    }
}

/// How a test's run went.
#[derive(Clone, Debug)]
pub struct TestRun {
    /// The summary, as the job's binary prints it.
    pub summary: Summary,
    /// The records that were turned aside, in the order in which they were.
    pub dirty: Vec<DirtyRecord>,
    /// How many crashes came: one that was set for a moment that the job did not reach did not.
    pub crashes: usize,
}

impl TestRun {
    /// A counter of an operator, by the operator's id: `run.counter("lookup.User", "cache_hits")`. What never counted
    /// is 0.
    pub fn counter(&self, operator: &str, name: &str) -> u64 {
        match self.summary.operators.get(operator).and_then(|figures| figures.get(name)) {
            Some(Figure::Count(count)) => *count,
            _ => 0,
        }
    }

    /// What a multi-counter of the job's author has counted, by label.
    pub fn multi_counter(&self, name: &str) -> BTreeMap<String, u64> {
        let figures = self.summary.operators.get(USER).into_iter().flatten();
        let labels = figures.filter_map(|(figure, value)| {
            let label = figure.strip_prefix(name)?.strip_prefix('{')?.strip_suffix('}')?;
            let Figure::Count(count) = value else { return None };
            Some((label.to_owned(), *count))
        });
        labels.collect()
    }

    /// A figure of an operator, of whatever kind: a level, or durations.
    pub fn figure(&self, operator: &str, name: &str) -> Option<Figure> {
        self.summary.operators.get(operator)?.get(name).copied()
    }

    /// The causes of the records that were turned aside, each as `stage of operator: cause`.
    pub fn dirty_causes(&self) -> Vec<String> {
        let cause = |record: &DirtyRecord| {
            format!("{} of {}: {}", record.stage, record.operator, record.causes.join(": "))
        };
        self.dirty.iter().map(cause).collect()
    }
}
