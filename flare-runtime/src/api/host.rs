//! The narrow door between a subtask and whatever runs it.
//!
//! The embedded host connects it by channels in the process; a host in another process can carry the same messages.

use tokio::sync::mpsc;

use super::Snapshot;
use crate::model::{Barrier, SubtaskId};

/// What a host tells a source's subtask. Other subtasks learn of barriers and the end from their input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Send this barrier into the stream and acknowledge it with the positions before it.
    Trigger(Barrier),
    /// Every subtask has acknowledged this barrier: what came before it is safe.
    Complete(Barrier),
    /// Read no more; end the stream.
    Stop,
}

/// What a subtask tells its host.
#[derive(Clone, Debug)]
pub enum Report {
    /// Everything before the barrier is safe in this subtask; [`Barrier::END`] when its input has ended.
    Acknowledged {
        /// Who.
        subtask: SubtaskId,
        /// Which barrier.
        barrier: Barrier,
        /// Its state there.
        snapshot: Snapshot,
    },
}

/// A subtask's end of the door.
#[derive(Debug)]
pub struct HostLink {
    /// Who this is.
    pub subtask: SubtaskId,
    /// What the host says.
    pub commands: mpsc::Receiver<Command>,
    /// What the host hears.
    pub reports: mpsc::Sender<Report>,
}

impl HostLink {
    /// Acknowledges a barrier.
    pub async fn acknowledge(&self, barrier: Barrier, snapshot: Snapshot) {
        let subtask = self.subtask.clone();
        // A host that is gone has ended the job already.
        let _ = self.reports.send(Report::Acknowledged { subtask, barrier, snapshot }).await;
    }
}
