//! What each subtask of a job takes of a savepoint.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Savepoint;
use crate::api::{Restored, Snapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{KeyGroups, SubtaskId};

/// A savepoint that a job begins with.
#[derive(Clone, Debug)]
pub struct Restore {
    /// What it was.
    pub savepoint: Arc<Savepoint>,
    /// Whether states that the job has no place for are dropped; else they are refused.
    pub drops_unread: bool,
}

impl Restore {
    /// Checks that the savepoint fits a job with these operators and so many key groups.
    ///
    /// # Errors
    /// `Config` with what does not fit.
    pub fn check(&self, operators: &BTreeSet<&str>, groups: KeyGroups) -> Result<()> {
        let Savepoint { max_parallelism, operators: known, .. } = &*self.savepoint;
        if *max_parallelism != groups.count {
            let message =
                "the savepoint was taken with another `job.max_parallelism`, by which its keys are spread";
            let error = Error::new(ErrorKind::Config, message).with("savepoint", max_parallelism);
            let remedy = format!("set `job.max_parallelism` to {max_parallelism}");
            return Err(error.with("job", groups.count).with_remedy(remedy));
        }
        let has_state = |snapshot: &Arc<Snapshot>| **snapshot != Snapshot::default();
        let stateful =
            known.iter().filter(|(_, parts)| parts.iter().any(has_state)).map(|(id, _)| id.as_str());
        let homeless: Vec<&str> = stateful.filter(|id| !operators.contains(id)).collect();
        if homeless.is_empty() || self.drops_unread {
            return Ok(());
        }
        let message = "the savepoint holds the state of operators that the job has no more";
        let error = Error::new(ErrorKind::Config, message).with("operators", homeless.join(", "));
        let today = operators.iter().copied().collect::<Vec<_>>().join(", ");
        Err(error.with("operators_today", today).with_remedy("put them back, or allow that state is dropped"))
    }

    /// What a subtask takes, of an operator with so many subtasks today.
    pub fn part(&self, subtask: &SubtaskId, parallelism: usize) -> Option<Restored> {
        let parts = self.savepoint.operators.get(subtask.operator.0.as_ref())?.clone();
        let groups = KeyGroups { count: self.savepoint.max_parallelism };
        let groups = groups.range(subtask.index, parallelism);
        Some(Restored { parts, groups, drops_unread: self.drops_unread })
    }
}
