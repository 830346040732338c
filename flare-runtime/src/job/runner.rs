//! Runs a job from code: in a test, or inside a larger program.

use std::future::Future;
use std::path::PathBuf;

use tokio::sync::watch;

use super::load::{Selection, Subject, describe, describe_subject};
use super::report::Summary;
use super::run::{Running, block_on, check_all};
use super::sources::Job;
use crate::config::Place;
use crate::error::Result;

/// A job to be run from code. Only what is set here is read: no environment variable, and no `flare.toml` unless
/// [`Runner::config`] names one.
#[derive(Default)]
pub struct Runner {
    selection: Selection,
    subject: Option<Subject>,
}

impl Runner {
    /// The job that `#[flare_job]` declares under this name.
    ///
    /// ```no_run
    /// # use flare_runtime::job::Runner;
    /// let summary = Runner::declared("order-wide").config("flare.toml").run_blocking()?;
    /// assert_eq!(summary.ending, "end of input");
    /// # Ok::<_, flare_runtime::error::Error>(())
    /// ```
    pub fn declared(name: &str) -> Self {
        let selection = Selection { job: Some(name.to_owned()), ..Selection::default() };
        Self { selection, subject: None }
    }

    /// A job that `describe` describes.
    ///
    /// ```
    /// # use flare_runtime::job::{Job, Runner};
    /// let describe = |job: &mut Job| {
    ///     job.values("numbers", vec![1, 2]).for_each(|n| println!("{n}"));
    ///     Ok(())
    /// };
    /// let summary = Runner::described("numbers", describe).run_blocking()?;
    /// assert_eq!(summary.records_in, 2);
    /// # Ok::<_, flare_runtime::error::Error>(())
    /// ```
    #[track_caller]
    pub fn described(name: &str, describe: impl FnOnce(&mut Job) -> Result<()> + 'static) -> Self {
        let subject = Subject::described(name, Place::here(), describe);
        Self { selection: Selection::default(), subject: Some(subject) }
    }

    /// Reads this configuration file.
    ///
    /// ```no_run
    /// # use flare_runtime::job::Runner;
    /// Runner::declared("order-wide").config("tests/flare.toml").run_blocking()?;
    /// # Ok::<_, flare_runtime::error::Error>(())
    /// ```
    #[must_use]
    pub fn config(mut self, file: impl Into<PathBuf>) -> Self {
        self.selection.config = Some(file.into());
        self
    }

    /// Reads `flare.<profile>.toml` beside the configuration file, too.
    ///
    /// ```no_run
    /// # use flare_runtime::job::Runner;
    /// // Reads `flare.toml`, and above it `flare.test.toml`.
    /// Runner::declared("order-wide").config("flare.toml").profile("test").run_blocking()?;
    /// # Ok::<_, flare_runtime::error::Error>(())
    /// ```
    #[must_use]
    pub fn profile(mut self, profile: &str) -> Self {
        self.selection.profile = Some(profile.to_owned());
        self
    }

    /// Sets a setting by its key, above all files.
    ///
    /// ```
    /// # use flare_runtime::{error::Result, job::{Job, Runner}};
    /// # fn double(job: &mut Job) -> Result<()> {
    /// #     job.values("numbers", vec![1, 2]).map(|n| n * 2).for_each(|_| {});
    /// #     Ok(())
    /// # }
    /// let runner = Runner::described("double", double);
    /// runner.set("job.parallelism", 2).set("dirty.budget_count", 0).run_blocking()?;
    /// # Ok::<_, flare_runtime::error::Error>(())
    /// ```
    #[must_use]
    pub fn set(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.selection.settings.push(format!("{key}={value}"));
        self
    }

    /// Runs the job to the end of its input.
    ///
    /// ```
    /// # use flare_runtime::{error::Result, job::{Job, Runner}};
    /// # fn double(job: &mut Job) -> Result<()> {
    /// #     job.values("numbers", vec![1, 2]).map(|n| n * 2).for_each(|_| {});
    /// #     Ok(())
    /// # }
    /// # async fn run() -> Result<()> {
    /// let summary = Runner::described("double", double).run().await?;
    /// assert_eq!(summary.records_in, 2);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Config` with all problems, or what made the job fail.
    pub async fn run(self) -> Result<Summary> {
        self.run_until(std::future::pending()).await
    }

    /// Runs the job to the end of its input, or until `stop` is done: then it drains.
    ///
    /// ```
    /// # use flare_runtime::{error::Result, job::{Job, Runner}};
    /// # fn double(job: &mut Job) -> Result<()> {
    /// #     job.values("numbers", vec![1, 2]).map(|n| n * 2).for_each(|_| {});
    /// #     Ok(())
    /// # }
    /// # async fn run() -> Result<()> {
    /// let five_seconds = tokio::time::sleep(std::time::Duration::from_secs(5));
    /// let summary = Runner::described("double", double).run_until(five_seconds).await?;
    /// println!("{}", summary.ending); // "end of input", or "stopped" after five seconds
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Runner::run`].
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<Summary> {
        let Self { selection, subject } = self;
        let mut described = match subject {
            Some(subject) => describe_subject(subject, &selection)?,
            None => describe(&selection)?,
        };
        check_all(&mut described.builder).await?;
        let (sender, receiver) = watch::channel(false);
        let run = Running::new(described.builder).run(receiver);
        tokio::pin!(run, stop);
        tokio::select! {
            summary = &mut run => return summary,
            () = &mut stop => sender.send_replace(true),
        };
        run.await
    }

    /// As [`Runner::run`], on a runtime of its own.
    ///
    /// ```
    /// # use flare_runtime::{error::Result, job::{Job, Runner}};
    /// # fn double(job: &mut Job) -> Result<()> {
    /// #     job.values("numbers", vec![1, 2]).map(|n| n * 2).for_each(|_| {});
    /// #     Ok(())
    /// # }
    /// let summary = Runner::described("double", double).run_blocking()?;
    /// print!("{}", summary.text());
    /// # Ok::<_, flare_runtime::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Runner::run`].
    ///
    /// # Panics
    /// Inside an asynchronous function; use [`Runner::run`] there.
    pub fn run_blocking(self) -> Result<Summary> {
        block_on(self.run())?
    }
}
