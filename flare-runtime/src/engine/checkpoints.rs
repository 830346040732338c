//! Where completed checkpoints go, and how somebody asks for one.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};

use crate::checkpoint::Savepoint;

/// What a checkpoint is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To begin with again: what came before it is safe when it is complete.
    Checkpoint,
    /// To be looked at only.
    Look,
}

/// A checkpoint that somebody waits for.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) purpose: Purpose,
    pub(super) answer: oneshot::Sender<Arc<Savepoint>>,
}

/// Keeps the last completed checkpoint of a run, and asks for further ones. A clone is the same.
#[derive(Clone)]
pub struct Checkpoints(Arc<Shared>);

struct Shared {
    asks: mpsc::UnboundedSender<Ask>,
    /// Taken by the run.
    asked: Mutex<Option<mpsc::UnboundedReceiver<Ask>>>,
    latest: Mutex<Option<Arc<Savepoint>>>,
}

impl fmt::Debug for Checkpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpoints").finish_non_exhaustive()
    }
}

impl Checkpoints {
    /// Of a run that begins with `latest`.
    pub fn new(latest: Option<Arc<Savepoint>>) -> Self {
        let (asks, asked) = mpsc::unbounded_channel();
        Self(Arc::new(Shared { asks, asked: Mutex::new(Some(asked)), latest: Mutex::new(latest) }))
    }

    /// The last completed checkpoint, else what the run began with.
    pub fn latest(&self) -> Option<Arc<Savepoint>> {
        self.0.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks for a checkpoint; the answer fails when the run has ended before it was complete.
    pub fn ask(&self, purpose: Purpose) -> oneshot::Receiver<Arc<Savepoint>> {
        let (answer, answered) = oneshot::channel();
        // A run that has ended lets go of the answer.
        let _ = self.0.asks.send(Ask { purpose, answer });
        answered
    }

    pub(super) fn keep(&self, savepoint: Arc<Savepoint>) {
        *self.0.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(savepoint);
    }

    /// What is asked of a run; only the first run hears it.
    pub(super) fn take_asked(&self) -> Option<mpsc::UnboundedReceiver<Ask>> {
        self.0.asked.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
