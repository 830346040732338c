//! What a subtask keeps from one run to the next.

use std::sync::Arc;

use crate::api::{Restored, Snapshot};
use crate::error::Result;
use crate::model::{KeyGroups, SubtaskId};
use crate::state::{Backend, SnapshotReader, SnapshotWriter, StateSettings};

/// How a subtask keeps its state.
#[derive(Clone, Debug)]
pub struct Keeping {
    /// How keys spread.
    pub groups: KeyGroups,
    /// What it begins with.
    pub restored: Option<Restored>,
    /// Whether somebody keeps snapshots.
    pub snapshots: bool,
    /// Name of the job.
    pub job: Arc<str>,
    /// How keyed state is kept.
    pub state: StateSettings,
}

impl Keeping {
    /// Where the states of a subtask are kept.
    ///
    /// # Errors
    /// As [`Backend::open`].
    pub(super) fn backend(&self, subtask: &SubtaskId) -> Result<Backend> {
        Backend::open(&self.state, &self.job, subtask, self.groups)
    }

    /// The subtask's state as `write` writes it; empty where nobody keeps it.
    ///
    /// # Errors
    /// What `write` returns.
    pub(super) fn snapshot(&self, write: impl FnOnce(&mut SnapshotWriter) -> Result<()>) -> Result<Snapshot> {
        let mut writer = SnapshotWriter::new(self.groups);
        if self.snapshots {
            write(&mut writer)?;
        }
        Ok(writer.finish())
    }

    /// Has `read` take up what an earlier run has kept, if there was one.
    ///
    /// # Errors
    /// What `read` returns, and `Config` when it leaves a state unread that may not be dropped.
    pub(super) fn restore(&mut self, read: impl FnOnce(&SnapshotReader<'_>) -> Result<()>) -> Result<()> {
        let Some(restored) = self.restored.take() else { return Ok(()) };
        let reader = SnapshotReader::new(&restored, self.groups);
        read(&reader)?;
        reader.finish()
    }
}
