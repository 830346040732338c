//! Reads the script of a mock source, from its beginning or from where an earlier run was.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::faults::Faults;
use super::mock_source::Act;
use crate::api::{Decode, Intake, Positions, Progress, Source, SourceContext};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Control, Meta, Reject, SplitId, Timestamp};

/// The name of a mock source's only split.
const SPLIT: &str = "mock";

/// What a mock source does, in all runs of a test.
pub(super) struct Script<T> {
    /// What came by hand is added when it is read.
    pub(super) acts: Mutex<Vec<Act<T>>>,
    pub(super) hand: Option<tokio::sync::Mutex<mpsc::UnboundedReceiver<Act<T>>>>,
}

impl<T: Clone> Script<T> {
    fn acts(&self) -> MutexGuard<'_, Vec<Act<T>>> {
        self.acts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The act at `index`, waiting for the test's hand; `None` behind the last one. Cancel safe.
    async fn act(&self, index: usize) -> Option<Act<T>> {
        loop {
            if let Some(act) = self.acts().get(index) {
                return Some(act.clone());
            }
            // What is received is in the script before anything else is awaited.
            let act = self.hand.as_ref()?.lock().await.recv().await.unwrap_or(Act::End);
            self.acts().push(act);
        }
    }
}

/// The subtask that reads a script; the other subtasks have no split.
pub(super) struct MockReader<T> {
    script: Arc<Script<T>>,
    decode: Decode<T>,
    faults: Faults,
    split: Option<SplitId>,
    /// The next act.
    next: usize,
    offset: i64,
    /// What is said of event time before the next act.
    time: Option<Control>,
    /// When a pause is over.
    until: Option<Instant>,
    /// Whether the next act waits for a barrier.
    waits: AtomicBool,
}

impl<T: Clone + Send> MockReader<T> {
    pub(super) fn new(script: Arc<Script<T>>, decode: Decode<T>, cx: &SourceContext, faults: Faults) -> Self {
        let reads = cx.parallelism == 1 || cx.index == 0;
        let split = reads.then(|| cx.splits.register(&cx.operator, SPLIT));
        let next = cx.restored.as_ref().and_then(|positions| positions.of(SPLIT));
        let next = next.and_then(|next| usize::try_from(next).ok()).unwrap_or(0);
        let (offset, time) = {
            let acts = script.acts();
            before(&acts[..next.min(acts.len())])
        };
        let waits = AtomicBool::new(false);
        Self { script, decode, faults, split, next, offset, time, until: None, waits }
    }

    fn give(&mut self, act: Act<T>, intake: &mut Intake<T>) -> Result<()> {
        let split = self.split.unwrap_or(SplitId::NONE);
        let at = |timestamp| Meta { timestamp, split, offset: self.offset };
        match act {
            Act::Record(record, timestamp) => intake.batch.push(record, at(timestamp)),
            Act::Bytes(bytes) => match (self.decode)(&bytes) {
                Ok(record) => intake.batch.push(record, at(Timestamp::MIN)),
                Err(error) => intake.rejects.push(Reject::new(bytes, at(Timestamp::MIN), error)),
            },
            Act::Time(control) => intake.time = Some(control),
            Act::Pause(time) => self.until = Some(Instant::now() + time),
            Act::End => {}
        }
        Ok(())
    }
}

/// How many records these acts gave, and whether they left the source idle.
fn before<T>(acts: &[Act<T>]) -> (i64, Option<Control>) {
    let is_record = |act: &&Act<T>| matches!(act, Act::Record(..) | Act::Bytes(_));
    let records = acts.iter().filter(is_record).count();
    let last = acts.iter().rfind(|act| is_record(act) || matches!(act, Act::Time(_)));
    let idle = matches!(last, Some(Act::Time(Control::Idle))).then_some(Control::Idle);
    (i64::try_from(records).unwrap_or(i64::MAX), idle)
}

#[async_trait]
impl<T: Clone + Send> Source<T> for MockReader<T> {
    async fn read(&mut self, intake: &mut Intake<T>) -> Result<Progress> {
        if self.split.is_none() {
            return Ok(Progress::End);
        }
        let known = self.script.acts().len();
        if self.next > known {
            let message = "the job begins behind more acts (records, watermarks, pauses) than the mock source has; give \
                           it those, too, that came before the savepoint";
            let error = Error::new(ErrorKind::Config, message).with("behind", self.next);
            return Err(error.with("has", known));
        }
        if self.waits.load(Ordering::Relaxed) {
            // Until the barrier comes, for which the read is cancelled.
            std::future::pending::<()>().await;
        }
        if let Some(until) = self.until {
            tokio::time::sleep_until(until).await;
            self.until = None;
        }
        intake.time = self.time.take();
        // One record at a time, so that the watermark moves behind each.
        while intake.time.is_none()
            && self.until.is_none()
            && intake.batch.is_empty()
            && intake.rejects.is_empty()
        {
            let act = match self.script.act(self.next).await {
                None | Some(Act::End) => return Ok(Progress::End),
                Some(act) => act,
            };
            let is_record = matches!(act, Act::Record(..) | Act::Bytes(_));
            if is_record && self.faults.record()? {
                self.waits.store(true, Ordering::Relaxed);
            }
            self.give(act, intake)?;
            self.next += 1;
            self.offset += i64::from(is_record);
        }
        Ok(Progress::More)
    }

    /// Of the subtasks that read nothing, none holds event time back.
    fn splits(&self) -> Option<Vec<SplitId>> {
        Some(self.split.into_iter().collect())
    }

    fn positions(&self) -> Positions {
        self.waits.store(false, Ordering::Relaxed);
        let next = i64::try_from(self.next).unwrap_or(i64::MAX);
        Positions(self.split.iter().map(|_| (SPLIT.to_owned(), next)).collect())
    }
}
