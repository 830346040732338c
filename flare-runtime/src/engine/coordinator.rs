//! Counts acknowledgements, completes checkpoints, ends the run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::embedded::{Reports, RunSettings, Sources};
use crate::api::{Command, DirtyBudget, Report, until};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Barrier, SubtaskId};

/// Why a run ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All input was read.
    EndOfInput,
    /// It was asked to stop, and drained.
    Stopped,
}

/// A run that ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Why it ended.
    pub ending: Ending,
    /// Checkpoints completed, the last one included.
    pub checkpoints: u64,
}

/// One run's state in the host.
pub(super) struct Coordinator {
    pub(super) settings: RunSettings,
    pub(super) tasks: JoinSet<Result<()>>,
    pub(super) sources: Sources,
    pub(super) all: Vec<SubtaskId>,
    pub(super) reports: Reports,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) budget: Arc<DirtyBudget>,
    /// When a stop that was asked for must be over.
    pub(super) stopping: Option<Instant>,
}

/// Barriers on their way, with who has not acknowledged yet.
#[derive(Default)]
struct Pending {
    waiting: BTreeMap<Barrier, BTreeSet<SubtaskId>>,
    next: u64,
    completed: u64,
    ended: BTreeSet<SubtaskId>,
}

impl Coordinator {
    pub(super) async fn run(mut self) -> Result<Outcome> {
        let every = self.settings.checkpoint;
        let mut ticks = (!every.is_zero()).then(|| {
            let mut ticks = interval_at(Instant::now() + every, every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        let mut pending = Pending::default();
        loop {
            tokio::select! {
                biased;
                ended = self.tasks.join_next() => match ended {
                    None => break,
                    Some(result) => if let Err(error) = flatten(result) { return Err(self.fail(error).await) },
                },
                Some(report) = self.reports.recv() => {
                    if let Err(error) = self.hear(report, &mut pending).await {
                        return Err(self.fail(error).await);
                    }
                }
                () = stop_requested(&mut self.stop), if self.stopping.is_none() => {
                    self.stopping = Some(Instant::now() + self.settings.drain_timeout);
                    self.tell(Command::Stop).await;
                }
                () = until(self.stopping) => {
                    let error = self.cut_off();
                    return Err(self.fail(error).await);
                }
                () = tick(&mut ticks) => self.trigger(&mut pending).await,
            }
        }
        let ending = if self.stopping.is_some() { Ending::Stopped } else { Ending::EndOfInput };
        Ok(Outcome { ending, checkpoints: pending.completed })
    }

    /// Begins a checkpoint, unless one is still on its way.
    async fn trigger(&mut self, pending: &mut Pending) {
        if !pending.waiting.is_empty() {
            tracing::debug!(job = %self.settings.job, "checkpoint skipped: the one before is not complete");
            return;
        }
        pending.next += 1;
        let barrier = Barrier { id: pending.next };
        let open = self.all.iter().filter(|subtask| !pending.ended.contains(subtask));
        let waiting: BTreeSet<_> = open.cloned().collect();
        if waiting.is_empty() {
            return;
        }
        pending.waiting.insert(barrier, waiting);
        self.tell(Command::Trigger(barrier)).await;
    }

    async fn hear(&mut self, report: Report, pending: &mut Pending) -> Result<()> {
        let Report::Acknowledged { subtask, barrier, snapshot: _ } = report;
        if barrier == Barrier::END {
            pending.ended.insert(subtask.clone());
            if pending.ended.len() == self.all.len() {
                if self.stopping.is_none() {
                    self.budget.end()?;
                }
                pending.completed += 1;
                self.tell(Command::Complete(Barrier::END)).await;
            }
            // Whoever has ended has nothing more to add to a checkpoint on its way.
            for waiting in pending.waiting.values_mut() {
                waiting.remove(&subtask);
            }
        } else if let Some(waiting) = pending.waiting.get_mut(&barrier) {
            waiting.remove(&subtask);
        }
        let complete = pending.waiting.iter().filter(|(_, waiting)| waiting.is_empty());
        for barrier in complete.map(|(barrier, _)| *barrier).collect::<Vec<_>>() {
            pending.waiting.remove(&barrier);
            pending.completed += 1;
            tracing::debug!(job = %self.settings.job, checkpoint = barrier.id, "checkpoint completed");
            self.tell(Command::Complete(barrier)).await;
        }
        Ok(())
    }

    async fn tell(&self, command: Command) {
        for source in &self.sources {
            // A source that is gone has ended; its task says how.
            let _ = source.send(command).await;
        }
    }

    /// Ends all subtasks, so that nothing of this run goes on behind it; returns the error that it failed by.
    async fn fail(&mut self, mut error: Error) -> Error {
        let patience = Instant::now() + Self::PATIENCE;
        // A subtask lets go of its channels before it returns, so its neighbours may be heard first.
        while error.is_consequence() {
            match tokio::time::timeout_at(patience, self.tasks.join_next()).await {
                Ok(Some(Ok(Err(other)))) => error = other,
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => break,
            }
        }
        // User code that never lets go is left behind.
        let _ = tokio::time::timeout_at(patience, self.tasks.shutdown()).await;
        error
    }

    /// How long subtasks may take to end after a failure.
    const PATIENCE: Duration = Duration::from_secs(1);

    fn cut_off(&self) -> Error {
        let timeout = crate::model::format_duration(self.settings.drain_timeout);
        Error::new(
            ErrorKind::Timeout,
            "the job did not drain in time and was cut off; its last checkpoint stands",
        )
        .with("drain_timeout", timeout)
    }
}

fn flatten(result: Result<Result<()>, tokio::task::JoinError>) -> Result<()> {
    result.map_err(|error| Error::new(ErrorKind::Failed, "a subtask was lost").caused_by(error))?
}

async fn stop_requested(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        // Nobody can ask any more.
        std::future::pending::<()>().await;
    }
}

async fn tick(ticks: &mut Option<tokio::time::Interval>) {
    match ticks {
        Some(ticks) => {
            ticks.tick().await;
        }
        None => std::future::pending().await,
    }
}
