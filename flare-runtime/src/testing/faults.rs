//! What happens to a job under test at a moment that the test has chosen: a checkpoint, or a crash.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::case::Reach;
use crate::engine::{Checkpoints, Purpose};
use crate::error::{Error, ErrorKind};

/// A moment at which a job is killed, as by `kill -9`, and begins again from its last completed checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    pub(super) moment: Moment,
    pub(super) parallelism: Option<usize>,
}

/// Counted from 1, over all runs of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Record(u64),
    Barrier(u64),
    Sink(u64),
}

impl Moment {
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Record(number) | Self::Barrier(number) | Self::Sink(number) => number,
        }
    }

    /// The same kind of moment, with another number.
    pub(super) fn with(self, number: u64) -> Self {
        match self {
            Self::Record(_) => Self::Record(number),
            Self::Barrier(_) => Self::Barrier(number),
            Self::Sink(_) => Self::Sink(number),
        }
    }

    /// The name in a case.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Record(_) => "record",
            Self::Barrier(_) => "barrier",
            Self::Sink(_) => "sink",
        }
    }
}

impl Crash {
    const fn at(moment: Moment) -> Self {
        Self { moment, parallelism: None }
    }

    /// When the mock sources have given so many records, those included that they gave again after a crash.
    pub const fn at_record(number: u64) -> Self {
        Self::at(Moment::Record(number))
    }

    /// When the checkpoint of this number is on its way, and not complete.
    pub const fn at_barrier(number: u64) -> Self {
        Self::at(Moment::Barrier(number))
    }

    /// When the test sinks are given the record of this number.
    pub const fn in_sink(number: u64) -> Self {
        Self::at(Moment::Sink(number))
    }

    /// The job then begins again with this `job.parallelism`.
    #[must_use]
    pub const fn parallelism(mut self, parallelism: usize) -> Self {
        self.parallelism = Some(parallelism);
        self
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.moment {
            Moment::Record(number) => write!(f, "Crash::at_record({number})")?,
            Moment::Barrier(number) => write!(f, "Crash::at_barrier({number})")?,
            Moment::Sink(number) => write!(f, "Crash::in_sink({number})")?,
        }
        match self.parallelism {
            Some(parallelism) => write!(f, ".parallelism({parallelism})"),
            None => Ok(()),
        }
    }
}

/// All faults of a test. A clone is the same.
#[derive(Clone, Default)]
pub(super) struct Faults(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    crashes: Vec<Crash>,
    /// A checkpoint is taken whenever the sources have given so many records more.
    checkpoint_every: Option<u64>,
    records: u64,
    barriers: u64,
    taken: u64,
    /// The last barrier that was counted.
    last_barrier: u64,
    /// The crash that has come, until it is seen to.
    crashed: Option<Crash>,
    /// Of the present run.
    checkpoints: Option<Checkpoints>,
}

impl Faults {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(&self, crash: Crash) {
        self.state().crashes.push(crash);
    }

    pub(super) fn checkpoint_every(&self, records: u64) {
        self.state().checkpoint_every = Some(records.max(1));
    }

    /// How many records were given, and how many were taken.
    pub(super) fn reach(&self) -> Reach {
        let state = self.state();
        Reach { records: state.records, taken: state.taken }
    }

    #[cfg(test)]
    pub(super) fn having_seen(records: u64, taken: u64) -> Self {
        Self(Arc::new(Mutex::new(State { records, taken, ..State::default() })))
    }

    /// A run begins, whose checkpoints are these.
    pub(super) fn begin(&self, checkpoints: Checkpoints) {
        self.state().checkpoints = Some(checkpoints);
    }

    /// The crash that ended the run, if one did.
    pub(super) fn take_crash(&self) -> Option<Crash> {
        self.state().crashed.take()
    }

    /// A mock source gives a record. Whether a checkpoint has been asked for, before which it must give no other.
    ///
    /// # Errors
    /// When the job crashes now.
    pub(super) fn record(&self) -> Result<bool, Error> {
        let mut state = self.state();
        state.records += 1;
        let moment = Moment::Record(state.records);
        state.reach(moment)?;
        let is_due = state.checkpoint_every.is_some_and(|every| state.records.is_multiple_of(every));
        let checkpoints = state.checkpoints.as_ref().filter(|_| is_due);
        Ok(checkpoints.map(|checkpoints| drop(checkpoints.ask(Purpose::Checkpoint))).is_some())
    }

    /// A subtask has answered a barrier.
    ///
    /// # Errors
    /// When the job crashes now.
    pub(super) fn barrier(&self, id: u64) -> Result<(), Error> {
        let mut state = self.state();
        if id <= state.last_barrier {
            return Ok(());
        }
        state.last_barrier = id;
        state.barriers += 1;
        let moment = Moment::Barrier(state.barriers);
        state.reach(moment)
    }

    /// A sink is given a record.
    ///
    /// # Errors
    /// When the job crashes now.
    pub(super) fn taken(&self) -> Result<(), Error> {
        let mut state = self.state();
        state.taken += 1;
        let moment = Moment::Sink(state.taken);
        state.reach(moment)
    }
}

impl State {
    fn reach(&mut self, moment: Moment) -> Result<(), Error> {
        let Some(index) = self.crashes.iter().position(|crash| crash.moment == moment) else { return Ok(()) };
        let crash = self.crashes.remove(index);
        self.crashed = Some(crash);
        Err(Error::new(ErrorKind::Failed, "the test has the job crash here").with("crash", crash))
    }
}
