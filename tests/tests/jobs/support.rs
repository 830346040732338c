//! Runs small jobs and collects what comes out.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use flare::prelude::*;
use flare::test::{FlareTest, TestRun};
use flare::{Runner, Summary};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

/// What a job gave, in the order of its end.
#[derive(Clone)]
pub(crate) struct Collected<T>(Arc<Mutex<Vec<T>>>);

impl<T> Default for Collected<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + 'static> Collected<T> {
    /// The function that a stream ends in.
    pub(crate) fn collector(&self) -> impl FnMut(T) + Clone + Send + use<T> {
        let items = Arc::clone(&self.0);
        move |item| items.lock().unwrap().push(item)
    }

    pub(crate) fn items(&self) -> Vec<T> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn sorted(&self) -> Vec<T>
    where
        T: Ord,
    {
        let mut items = self.items();
        items.sort();
        items
    }
}

/// Runs a job and returns its summary and what its collector took.
pub(crate) fn check<T: Clone + Send + 'static>(
    describe: impl FnOnce(&mut Job, Collected<T>) -> Result<()> + 'static,
    configure: impl FnOnce(Runner) -> Runner,
) -> Result<(Summary, Collected<T>)> {
    let collected = Collected::default();
    let collector = collected.clone();
    let runner = Runner::described("test", move |job| describe(job, collector));
    let summary = configure(runner).run_blocking()?;
    Ok((summary, collected))
}

/// What a tested job gives: one sink takes records of every test, as JSON.
#[kafka(topic = "given")]
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    json: String,
}

/// How a tested job went, and what it gave, in the order of its end.
#[derive(Clone, Debug)]
pub(crate) struct Given<T> {
    pub(crate) run: TestRun,
    pub(crate) items: Vec<T>,
}

impl<T: Ord> Given<T> {
    pub(crate) fn sorted(mut self) -> Vec<T> {
        self.items.sort();
        self.items
    }
}

/// Runs, in the test kit, the job that gives this stream.
pub(crate) fn run<T: Serialize + DeserializeOwned + Send + 'static>(
    describe: impl Fn(&mut Job) -> Result<BoxedStream<T>> + 'static,
    prepare: impl FnOnce(&mut FlareTest),
) -> Result<Given<T>> {
    let mut test = FlareTest::described("test", move |job| {
        let stream = describe(job)?;
        stream.map(|item| Record { json: serde_json::to_string(&item).unwrap() }).id("given").sink::<Record>()
    });
    let sink = test.sink::<Record>();
    prepare(&mut test);
    let run = test.run()?;
    let items = sink.take().iter().map(|record| serde_json::from_str(&record.json).unwrap()).collect();
    Ok(Given { run, items })
}

/// A folder that is gone at the end of the test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let content = std::fs::read_to_string(self.path(name)).unwrap();
        content.lines().map(str::to_owned).collect()
    }
}
