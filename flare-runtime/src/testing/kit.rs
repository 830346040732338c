//! A job under test: what stands in for the outside, and how it went.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::live::LiveTest;
use super::mock_lookup::MockLookup;
use super::mock_source::MockSource;
use super::test_sink::TestSink;
use crate::api::{Clock, Figure, Lookup};
use crate::config::Place;
use crate::error::Result;
use crate::job::declare::{Connected, LookupRow};
use crate::job::stand_ins::StandIns;
use crate::job::{Job, Running, Selection, Subject, Summary, check_all, describe_subject};
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
    subject: Result<Subject>,
    selection: Selection,
    stand_ins: StandIns,
    dirty: TestSink<DirtyRecord>,
    start: Timestamp,
    seed: Option<u64>,
    /// End the sources by hand.
    enders: Vec<Box<dyn FnOnce() + Send>>,
}

impl FlareTest {
    /// A test of the job that `#[flare_job]` declares under this name.
    pub fn job(name: &str) -> Self {
        Self::new(Subject::declared(Some(name)))
    }

    /// A test of a job that `describe` describes.
    #[track_caller]
    pub fn described(name: &str, describe: impl FnOnce(&mut Job) -> Result<()> + 'static) -> Self {
        Self::new(Ok(Subject::described(name, Place::here(), describe)))
    }

    fn new(subject: Result<Subject>) -> Self {
        let dirty = TestSink::default();
        let stand_ins = StandIns::new(dirty.taker());
        // 2026-01-01T00:00:00Z
        let start = Timestamp::from_millis(1_767_225_600_000);
        // Nobody waits for a fuller batch while time stands still.
        let selection = Selection { settings: vec!["job.flush=0s".to_owned()], ..Selection::default() };
        Self { subject, selection, stand_ins, dirty, start, seed: None, enders: Vec::new() }
    }

    /// Puts `mock` in the place of the source of the struct `T`.
    pub fn source<T: Connected + Send + 'static>(&mut self, mock: MockSource<T>) {
        self.enders.extend(mock.ender());
        self.stand_ins.add::<T>("source", None, mock.stand_in());
    }

    /// As [`FlareTest::source`], for the connector of that name of a struct with several.
    pub fn source_named<T: Connected + Send + 'static>(&mut self, name: &str, mock: MockSource<T>) {
        self.enders.extend(mock.ender());
        self.stand_ins.add::<T>("source", Some(name), mock.stand_in());
    }

    /// Puts a collector in the place of the sink of the struct `T`, and returns it.
    pub fn sink<T: Connected + Send + 'static>(&mut self) -> TestSink<T> {
        let sink = TestSink::default();
        self.stand_ins.add::<T>("sink", None, sink.taker());
        sink
    }

    /// As [`FlareTest::sink`], for the connector of that name of a struct with several.
    pub fn sink_named<T: Connected + Send + 'static>(&mut self, name: &str) -> TestSink<T> {
        let sink = TestSink::default();
        self.stand_ins.add::<T>("sink", Some(name), sink.taker());
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
        let Self { subject, selection, stand_ins, dirty, start, seed, enders } = self;
        let subject = Subject { stand_ins: Some(stand_ins), ..subject? };
        let mut described = describe_subject(subject, &selection)?;
        let idle = super::live::Idle::default();
        let runtime: Runtime = idle.runtime()?;
        let (stop, stopped) = watch::channel(false);
        let job = runtime.block_on(async {
            check_all(&mut described.builder).await?;
            let clock = Clock::starting_at(start);
            let running = Running::new(described.builder).testing(clock.clone(), seed);
            Ok::<_, crate::error::Error>((tokio::spawn(running.run(stopped)), clock))
        });
        let (job, clock) = job?;
        let mut live = LiveTest { runtime, idle, job, clock, stop, dirty, seed, enders };
        live.run_until_idle();
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

    /// The causes of the records that were turned aside, each as `stage of operator: cause`.
    pub fn dirty_causes(&self) -> Vec<String> {
        let cause = |record: &DirtyRecord| {
            format!("{} of {}: {}", record.stage, record.operator, record.causes.join(": "))
        };
        self.dirty.iter().map(cause).collect()
    }
}
