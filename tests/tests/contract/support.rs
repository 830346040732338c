//! Folders, jobs beside the test, and waiting for what can be seen from outside.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use flare::prelude::*;
use flare::{Runner, Summary};
use tempfile::TempDir;

/// Longer than anything here takes, so that what hangs fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder that is gone at the end of the test.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// Writes `flare.toml`, with a file for dirty records.
    pub(crate) fn configure(&self, sections: &str) -> PathBuf {
        let dirty = "[dirty]\nconnector = \"files\"\npath = \"dirty.jsonl\"\nmode = \"overwrite\"\n";
        self.write("flare.toml", format!("{sections}\n{dirty}"))
    }

    /// The lines of a file that was written by one subtask, or of the files of several.
    pub(crate) fn lines(&self, stem: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().path());
        let own = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let rest = name.strip_prefix(stem).and_then(|rest| rest.strip_suffix(".jsonl"));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let contents = entries.filter(own).map(|path| std::fs::read_to_string(path).unwrap());
        contents.flat_map(|content| content.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
    }

    pub(crate) fn dirty(&self) -> Vec<DirtyRecord> {
        self.lines("dirty").iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Waits for a job that must end.
pub(crate) async fn finish(run: impl Future<Output = Result<Summary>>) -> Summary {
    let ended = tokio::time::timeout(PATIENCE, run).await.expect("the job ends in time");
    ended.unwrap_or_else(|error| panic!("{}", error.report()))
}

/// Runs a job to its end.
pub(crate) async fn run(runner: Runner) -> Summary {
    finish(runner.run()).await
}

/// Runs an endless job while `watch` looks on; it is stopped when `watch` is done.
pub(crate) async fn run_while(runner: Runner, watch: impl Future<Output = ()>) -> Summary {
    let watch = async {
        if tokio::time::timeout(PATIENCE, watch).await.is_err() {
            panic!("what was waited for did not happen");
        }
    };
    finish(runner.run_until(watch)).await
}

/// Asks again and again until the answer is yes.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Starts the job `orders` in a process of its own; `log` is the file that its report goes to.
pub(crate) fn orders(folder: &Folder, log: &str, settings: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orders"));
    command.arg("--config").arg(folder.path("flare.toml")).arg("--json").env_remove("FLARE_PROFILE");
    for setting in settings {
        command.args(["--set", setting]);
    }
    let log = std::fs::File::create(folder.path(log)).unwrap();
    command.stdout(Stdio::piped()).stderr(log).spawn().unwrap()
}

/// How the process ended, and its summary, if it has one.
pub(crate) async fn ended(mut process: Child) -> (ExitStatus, serde_json::Value) {
    until("the process ends", async || process.try_wait().unwrap().is_some()).await;
    let output = process.wait_with_output().unwrap();
    (output.status, serde_json::from_slice(&output.stdout).unwrap_or_default())
}

/// A figure of an operator, such as `lookup.User` and `requests`.
pub(crate) fn figure(summary: &Summary, operator: &str, name: &str) -> u64 {
    let figures = serde_json::to_value(&summary.operators).unwrap();
    figures[operator][name].as_u64().unwrap_or_default()
}

/// `INSERT` of many rows by statements of moderate length.
pub(crate) fn inserts(table: &str, rows: impl IntoIterator<Item = String>) -> Vec<String> {
    let rows: Vec<_> = rows.into_iter().collect();
    let statement = |part: &[String]| {
        let mut sql = format!("INSERT INTO {table} VALUES ");
        for (index, row) in part.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(sql, "{comma}({row})").unwrap();
        }
        sql
    };
    rows.chunks(1000).map(statement).collect()
}
