//! Sources: what reads records, typed or as bytes.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Metrics, Replay};
use crate::error::{Error, Result};
use crate::model::{Batch, Control, Meta, OperatorId, Reject, SplitId, Splits};

/// How far a source got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There may be more.
    More,
    /// The end of a bounded source; it is not read again.
    End,
}

/// Where a source continues: the next offset of every split, by the split's name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions(pub Vec<(String, i64)>);

impl Positions {
    /// The next offset of a split.
    pub fn of(&self, split: &str) -> Option<i64> {
        self.0.iter().find(|(name, _)| name == split).map(|(_, offset)| *offset)
    }
}

/// What a source adds to at each read.
#[derive(Debug)]
pub struct Intake<T> {
    /// The records read.
    pub batch: Batch<T>,
    /// What could not be parsed.
    pub rejects: Vec<Reject>,
    /// What the source itself says of event time behind these records: a watermark or idleness.
    pub time: Option<Control>,
    /// Read no more than this many records at a time.
    pub limit: usize,
}

impl<T> Intake<T> {
    /// An empty intake of at most `limit` records a read.
    pub fn new(limit: usize) -> Self {
        Self { batch: Batch::with_capacity(limit), rejects: Vec::new(), time: None, limit }
    }

    /// Whether this read should end.
    pub fn is_full(&self) -> bool {
        self.time.is_some() || self.batch.len() + self.rejects.len() >= self.limit
    }
}

/// Reads typed records.
#[async_trait]
pub trait Source<T>: Send {
    /// Waits for records and adds what is there, up to the intake's limit.
    ///
    /// # Errors
    /// `Unavailable` when the outside system may come back: the engine tries again with a growing pause. Any other
    /// kind fails the job.
    ///
    /// # Cancel safety
    /// Must be cancel safe: what was added to `intake` counts as read, and nothing else. A read is cancelled at every
    /// checkpoint, so one that takes longer than the time between two must keep how far it is in `self` (for a pause,
    /// the moment when it is over): else it begins anew each time and never ends.
    async fn read(&mut self, intake: &mut Intake<T>) -> Result<Progress>;

    /// The splits that are read now, whose event time the watermark waits for; without an answer, those count that
    /// records have come from.
    fn splits(&self) -> Option<Vec<SplitId>> {
        None
    }

    /// The positions behind the last record read.
    fn positions(&self) -> Positions {
        Positions::default()
    }

    /// Told when every effect of the records before `positions` is safe in all sinks.
    ///
    /// # Errors
    /// Logged and counted; the next commit covers this one.
    async fn commit(&mut self, positions: &Positions) -> Result<()> {
        let _ = positions;
        Ok(())
    }
}

/// Takes the payloads that a [`ByteSource`] reads; they are parsed at once, without a copy.
pub trait Payloads: Send {
    /// Takes one payload. What does not parse is turned aside.
    fn push(&mut self, payload: &[u8], meta: Meta);

    /// Turns a payload aside that is too long to be taken: `beginning` is what is kept of it.
    fn reject(&mut self, beginning: &[u8], meta: Meta, error: Error);

    /// Whether this read should end.
    fn is_full(&self) -> bool;

    /// Whether nothing was taken yet in this read.
    fn is_empty(&self) -> bool;
}

/// Reads payloads: what a connector implements. See [`Source`] for the meaning of the methods.
#[async_trait]
pub trait ByteSource: Send {
    /// Waits for payloads and hands over what is there, until `payloads.is_full()`.
    ///
    /// # Errors
    /// As [`Source::read`].
    ///
    /// # Cancel safety
    /// As [`Source::read`]: what was handed over counts as read.
    async fn read(&mut self, payloads: &mut dyn Payloads) -> Result<Progress>;

    /// As [`Source::splits`].
    fn splits(&self) -> Option<Vec<SplitId>> {
        None
    }

    /// The positions behind the last payload handed over.
    fn positions(&self) -> Positions;

    /// As [`Source::commit`].
    ///
    /// # Errors
    /// As [`Source::commit`].
    async fn commit(&mut self, positions: &Positions) -> Result<()>;
}

/// What a source's subtask is told when it is made.
#[derive(Clone, Debug)]
pub struct SourceContext {
    /// Id of the operator.
    pub operator: OperatorId,
    /// This subtask, from 0.
    pub index: usize,
    /// Number of subtasks; splits are spread over them.
    pub parallelism: usize,
    /// The names of splits.
    pub splits: Splits,
    /// Where to count.
    pub metrics: Metrics,
    /// After a restart, where to go on: the positions of all subtasks that the source had before, of which each takes
    /// those of its own splits. A split that is not among them is new.
    pub restored: Option<Arc<Positions>>,
    /// In a replay, the records to read; the source ends behind them.
    pub replay: Option<Arc<Replay>>,
}

/// Makes the subtasks of a source.
#[async_trait]
pub trait CreateSource: Send + Sync {
    /// What is read, for reports: `kafka topic orders`.
    fn describe(&self) -> String;

    /// Checks what can be checked without reading: that the topic or file is there.
    ///
    /// # Errors
    /// What would keep the source from starting.
    async fn check(&self) -> Result<()>;

    /// Makes the source of one subtask. In a replay it reads at least the records at [`Replay::offsets`] that are
    /// still there, and ends; what it reads beside them is passed over.
    ///
    /// # Errors
    /// When it cannot start.
    async fn create(&self, cx: SourceContext) -> Result<Box<dyn ByteSource>>;
}
