//! Counts acknowledgements, completes checkpoints, ends the run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::checkpoints::{Ask, Checkpoints, Purpose};
use super::embedded::{JobRun, Reports, RunSettings, Sources};
use super::pending::{Complete, Pending};
use crate::api::{Command, Report, Snapshot, until};
use crate::checkpoint::Savepoint;
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
    pub(super) run: JobRun,
    /// When a stop that was asked for must be over.
    pub(super) stopping: Option<Instant>,
}

impl Coordinator {
    pub(super) async fn run(mut self) -> Result<Outcome> {
        let every = self.settings.checkpoint;
        let mut ticks = (!every.is_zero()).then(|| {
            let mut ticks = interval_at(Instant::now() + every, every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        let mut pending = Pending::after(self.run.last_barrier());
        let mut completed = 0;
        let mut asked = self.run.checkpoints.as_ref().and_then(Checkpoints::take_asked);
        loop {
            tokio::select! {
                biased;
                ended = self.tasks.join_next() => match ended {
                    None => break,
                    Some(result) => if let Err(error) = flatten(result) { return Err(self.fail(error).await) },
                },
                Some(report) = self.reports.recv() => {
                    match self.hear(report, &mut pending).await {
                        Ok(more) => completed += more,
                        Err(error) => return Err(self.fail(error).await),
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
                Some(ask) = next_ask(&mut asked), if pending.is_empty() => {
                    self.trigger(&mut pending, Some(ask)).await;
                }
                () = tick(&mut ticks) => self.trigger(&mut pending, None).await,
            }
        }
        let ending = if self.stopping.is_some() { Ending::Stopped } else { Ending::EndOfInput };
        Ok(Outcome { ending, checkpoints: completed })
    }

    /// Begins a checkpoint, unless one is still on its way.
    async fn trigger(&mut self, pending: &mut Pending, ask: Option<Ask>) {
        if !pending.is_empty() {
            tracing::debug!(job = %self.settings.job, "checkpoint skipped: the one before is not complete");
        } else if let Some(barrier) = pending.begin(&self.all, ask) {
            self.tell(Command::Trigger(barrier)).await;
        }
    }

    /// Hears of an acknowledgement; returns how many checkpoints are complete by it.
    async fn hear(&mut self, report: Report, pending: &mut Pending) -> Result<u64> {
        let Report::Acknowledged { subtask, barrier, snapshot } = report;
        let mut completed = 0;
        if let Some(observe) = self.run.observe.as_ref().filter(|_| barrier != Barrier::END) {
            observe(barrier.id)?;
        }
        pending.answered(subtask, barrier, snapshot);
        while let Some(complete) = pending.take_complete() {
            completed += u64::from(self.complete(complete).await);
        }
        if barrier == Barrier::END && pending.have_ended(&self.all) {
            if self.stopping.is_none() {
                self.run.budget.end()?;
            }
            completed += 1;
            self.keep(pending.end());
            self.tell(Command::Complete(Barrier::END)).await;
        }
        Ok(completed)
    }

    /// Tells whoever waits for it; returns whether what came before it is safe now.
    async fn complete(&mut self, complete: Complete) -> bool {
        let barrier = complete.barrier;
        if self.keep(complete) == Purpose::Look {
            return false;
        }
        tracing::debug!(job = %self.settings.job, checkpoint = barrier.id, "checkpoint completed");
        self.tell(Command::Complete(barrier)).await;
        true
    }

    /// Hands a checkpoint to whoever keeps it or has asked for it.
    fn keep(&self, complete: Complete) -> Purpose {
        let Complete { barrier, snapshots, ask } = complete;
        let purpose = ask.as_ref().map_or(Purpose::Checkpoint, |ask| ask.purpose);
        let Some(checkpoints) = &self.run.checkpoints else { return purpose };
        let mut operators: BTreeMap<String, Vec<Arc<Snapshot>>> = BTreeMap::new();
        for (subtask, snapshot) in snapshots {
            operators.entry(subtask.operator.to_string()).or_default().push(snapshot);
        }
        let savepoint = Arc::new(Savepoint {
            job: self.settings.job.to_string(),
            barrier: barrier.id,
            taken_at: self.run.clock.now(),
            max_parallelism: self.settings.max_parallelism,
            operators,
        });
        if purpose == Purpose::Checkpoint {
            checkpoints.keep(Arc::clone(&savepoint));
        }
        if let Some(ask) = ask {
            // Whoever has asked may be gone.
            let _ = ask.answer.send(savepoint);
        }
        purpose
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

async fn next_ask(asked: &mut Option<mpsc::UnboundedReceiver<Ask>>) -> Option<Ask> {
    match asked {
        Some(asked) => asked.recv().await,
        None => None,
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
