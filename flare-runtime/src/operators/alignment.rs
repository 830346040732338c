//! Keeps sources together in event time: a fast one waits for the slowest.
//!
//! The idea is that of FLIP-182 (watermark alignment of Flink's sources).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::model::{SubtaskId, Timestamp};

/// How far the sources of a job have come. A clone is the same.
#[derive(Clone, Debug)]
pub struct Alignment(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Of the subtasks that read and are not idle; `None` of one that has not begun.
    marks: Mutex<BTreeMap<SubtaskId, Option<Timestamp>>>,
    changed: watch::Sender<()>,
    is_used: AtomicBool,
}

impl Default for Alignment {
    fn default() -> Self {
        Self(Arc::new(Shared {
            marks: Mutex::default(),
            changed: watch::Sender::new(()),
            is_used: AtomicBool::new(false),
        }))
    }
}

impl Alignment {
    /// The part of one subtask; with `max_drift` it waits for the slowest other one.
    pub fn member(&self, subtask: SubtaskId, max_drift: Option<Duration>) -> Aligned {
        self.marks().insert(subtask.clone(), None);
        let changed = self.0.changed.subscribe();
        Aligned { alignment: self.clone(), subtask, max_drift, watermark: Timestamp::MIN, changed }
    }

    /// Some source is to wait for others.
    pub fn uses(&self) {
        self.0.is_used.store(true, Ordering::Relaxed);
    }

    /// Whether some source is to wait for others; else nobody need take part.
    pub fn is_used(&self) -> bool {
        self.0.is_used.load(Ordering::Relaxed)
    }

    fn marks(&self) -> MutexGuard<'_, BTreeMap<SubtaskId, Option<Timestamp>>> {
        self.0.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One subtask's part in an [`Alignment`]. It leaves when it is dropped.
#[derive(Debug)]
pub struct Aligned {
    alignment: Alignment,
    subtask: SubtaskId,
    max_drift: Option<Duration>,
    /// How far it has come itself.
    watermark: Timestamp,
    changed: watch::Receiver<()>,
}

impl Aligned {
    /// The subtask begins to read. Until all have begun, and have said what an earlier run has left them, those that wait
    /// for others do.
    pub(super) fn begin(&self) {
        if self.alignment.marks().get(&self.subtask) == Some(&None) {
            self.leave();
        }
    }

    /// The subtask has come so far.
    pub(super) fn advance(&mut self, watermark: Timestamp) {
        self.watermark = watermark;
        self.alignment.marks().insert(self.subtask.clone(), Some(watermark));
        self.alignment.0.changed.send_replace(());
    }

    /// The subtask has nothing to read for now, or for ever: nobody waits for it.
    pub(super) fn leave(&self) {
        if self.alignment.marks().remove(&self.subtask).is_some() {
            self.alignment.0.changed.send_replace(());
        }
    }

    /// Whether the subtask has come too far, and must not read before [`Aligned::changed`]. A source of which nothing
    /// has come yet is not waited for.
    pub(super) fn is_ahead(&mut self) -> bool {
        let Some(max_drift) = self.max_drift else { return false };
        self.changed.mark_unchanged();
        let marks = self.alignment.marks();
        let mut others = marks.iter().filter(|(subtask, _)| **subtask != self.subtask);
        others.any(|(_, other)| other.is_none_or(|other| other.saturating_add(max_drift) < self.watermark))
    }

    /// Returns when another subtask has moved since [`Aligned::is_ahead`]. Cancel safe.
    pub(super) async fn changed(&mut self) {
        if self.changed.changed().await.is_err() {
            // The sender is in `alignment`, which lives as long as this.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_the_slowest_that_is_there() {
        let at = Timestamp::from_millis;
        let alignment = Alignment::default();
        let member =
            |name: &str, drift| alignment.member(SubtaskId { operator: name.into(), index: 0 }, drift);
        let mut fast = member("fast", Some(Duration::from_millis(10)));
        let mut slow = member("slow", None);
        let late = member("late", None);
        fast.advance(at(100));
        assert!(fast.is_ahead(), "not all have begun");
        late.begin();
        slow.begin();
        assert!(!fast.is_ahead(), "nothing is known of the other");
        slow.advance(at(89));
        assert!(fast.is_ahead());
        slow.advance(at(90));
        assert!(!fast.is_ahead() && !slow.is_ahead());
        slow.advance(at(91));
        fast.advance(at(120));
        assert!(fast.is_ahead());
        drop(slow);
        assert!(!fast.is_ahead());
    }
}
