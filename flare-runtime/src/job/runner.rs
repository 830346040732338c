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
    pub fn declared(name: &str) -> Self {
        let selection = Selection { job: Some(name.to_owned()), ..Selection::default() };
        Self { selection, subject: None }
    }

    /// A job that `describe` describes.
    #[track_caller]
    pub fn described(name: &str, describe: impl FnOnce(&mut Job) -> Result<()> + 'static) -> Self {
        let place = Place::here();
        let subject = Subject { name: name.to_owned(), place, arguments: &[], describe: Box::new(describe) };
        Self { selection: Selection::default(), subject: Some(subject) }
    }

    /// Reads this configuration file.
    #[must_use]
    pub fn config(mut self, file: impl Into<PathBuf>) -> Self {
        self.selection.config = Some(file.into());
        self
    }

    /// Reads `flare.<profile>.toml` beside the configuration file, too.
    #[must_use]
    pub fn profile(mut self, profile: &str) -> Self {
        self.selection.profile = Some(profile.to_owned());
        self
    }

    /// Sets a setting by its key, above all files.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.selection.settings.push(format!("{key}={value}"));
        self
    }

    /// Runs the job to the end of its input.
    ///
    /// # Errors
    /// `Config` with all problems, or what made the job fail.
    pub async fn run(self) -> Result<Summary> {
        self.run_until(std::future::pending()).await
    }

    /// Runs the job to the end of its input, or until `stop` is done: then it drains.
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
    /// # Errors
    /// As [`Runner::run`].
    ///
    /// # Panics
    /// Inside an asynchronous function; use [`Runner::run`] there.
    pub fn run_blocking(self) -> Result<Summary> {
        block_on(self.run())?
    }
}
