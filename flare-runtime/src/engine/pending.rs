//! Checkpoints on their way: who has still to answer, and what the others have said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::checkpoints::Ask;
use crate::api::Snapshot;
use crate::model::{Barrier, SubtaskId};

/// All checkpoints of a run on their way.
#[derive(Default)]
pub(super) struct Pending {
    on_their_way: BTreeMap<Barrier, OnItsWay>,
    /// The number of the last barrier.
    last: u64,
    ended: BTreeMap<SubtaskId, Arc<Snapshot>>,
}

#[derive(Default)]
struct OnItsWay {
    waiting: BTreeSet<SubtaskId>,
    snapshots: BTreeMap<SubtaskId, Arc<Snapshot>>,
    ask: Option<Ask>,
}

/// A checkpoint that everybody has answered.
pub(super) struct Complete {
    pub(super) barrier: Barrier,
    pub(super) snapshots: BTreeMap<SubtaskId, Arc<Snapshot>>,
    pub(super) ask: Option<Ask>,
}

impl Pending {
    /// Barriers are numbered from behind `last`.
    pub(super) fn after(last: u64) -> Self {
        Self { last, ..Self::default() }
    }

    /// Whether no checkpoint is on its way.
    pub(super) fn is_empty(&self) -> bool {
        self.on_their_way.is_empty()
    }

    /// Begins a checkpoint of all subtasks that have not ended; `None` when there is none.
    pub(super) fn begin(&mut self, all: &[SubtaskId], ask: Option<Ask>) -> Option<Barrier> {
        let open = all.iter().filter(|subtask| !self.ended.contains_key(subtask));
        let waiting: BTreeSet<_> = open.cloned().collect();
        if waiting.is_empty() {
            return None;
        }
        self.last += 1;
        let barrier = Barrier { id: self.last };
        self.on_their_way.insert(barrier, OnItsWay { waiting, ask, ..OnItsWay::default() });
        Some(barrier)
    }

    /// Notes that a subtask has answered.
    pub(super) fn answered(&mut self, subtask: SubtaskId, barrier: Barrier, snapshot: Snapshot) {
        if barrier == Barrier::END {
            // Whoever has ended has nothing more to add to a checkpoint on its way.
            for checkpoint in self.on_their_way.values_mut() {
                checkpoint.waiting.remove(&subtask);
            }
            self.ended.insert(subtask, Arc::new(snapshot));
        } else if let Some(checkpoint) = self.on_their_way.get_mut(&barrier)
            && checkpoint.waiting.remove(&subtask)
        {
            checkpoint.snapshots.insert(subtask, Arc::new(snapshot));
        }
    }

    /// Whether all of them have ended.
    pub(super) fn have_ended(&self, all: &[SubtaskId]) -> bool {
        self.ended.len() == all.len()
    }

    /// What all subtasks had when they ended, as one more checkpoint.
    pub(super) fn end(&mut self) -> Complete {
        self.last += 1;
        Complete { barrier: Barrier { id: self.last }, snapshots: self.ended.clone(), ask: None }
    }

    /// Takes the next checkpoint that everybody has answered; those that have ended count as they were then.
    pub(super) fn take_complete(&mut self) -> Option<Complete> {
        let mut all = self.on_their_way.iter();
        let barrier = *all.find(|(_, checkpoint)| checkpoint.waiting.is_empty())?.0;
        let OnItsWay { snapshots: own, ask, .. } = self.on_their_way.remove(&barrier)?;
        let mut snapshots = self.ended.clone();
        snapshots.extend(own);
        Some(Complete { barrier, snapshots, ask })
    }
}
