//! Runs an operator by hand.

use std::sync::Arc;
use std::time::Duration;

use super::subtask::{Emitted, KeyedOperator, Turn};
use crate::api::{DirtyBudget, DirtyOutlet, Metrics, StageContext};
use crate::error::Result;
use crate::model::{Batch, Meta, OperatorId, Reject, Splits, SubtaskId, Timestamp};

/// One subtask's operator with all that it works with.
pub(crate) struct Bench<T, O: KeyedOperator<T> + ?Sized> {
    pub(crate) operator: Box<O>,
    stage: StageContext,
    out: Emitted<O::Out>,
    rejects: Vec<Reject>,
    watermark: Timestamp,
    /// Processing time.
    pub(crate) now: Timestamp,
}

impl<T, O: KeyedOperator<T> + ?Sized> Bench<T, O> {
    /// The subtask of this number, where event time has come to `watermark`.
    pub(crate) fn of(operator: Box<O>, index: usize, watermark: Timestamp) -> Self {
        let dirty = DirtyOutlet {
            job: "test".into(),
            splits: Splits::default(),
            budget: Arc::new(DirtyBudget::new(None, None, Duration::from_secs(1))),
            output: None,
            metrics: Metrics::default(),
        };
        let subtask = SubtaskId { operator: OperatorId::from("test"), index };
        let stage = StageContext::new(subtask, [].into(), dirty);
        let (out, now) = (Emitted::default(), Timestamp::from_millis(0));
        Self { operator, stage, out, rejects: Vec::new(), watermark, now }
    }

    /// Processes a record.
    pub(crate) fn give(&mut self, item: T, timestamp: Timestamp) -> Result<()> {
        let mut batch = Batch::default();
        batch.push(item, Meta { timestamp, ..Meta::NONE });
        self.turn(|operator, turn| operator.batch(batch, turn))
    }

    /// Lets event time come to `watermark`.
    pub(crate) fn pass(&mut self, watermark: Timestamp) -> Result<()> {
        self.watermark = watermark;
        self.turn(O::watermark)
    }

    /// Fires what is due in processing time.
    #[cfg(feature = "test")]
    pub(crate) fn fire(&mut self) -> Result<()> {
        self.turn(O::processing_time)
    }

    /// What came out since, with event times.
    pub(crate) fn emitted(&mut self) -> impl Iterator<Item = (O::Out, Timestamp)> {
        let records = self.out.take().flat_map(Batch::into_records);
        records.map(|(item, meta)| (item, meta.timestamp))
    }

    /// What was turned aside since.
    pub(crate) fn rejects(&mut self) -> Vec<Reject> {
        std::mem::take(&mut self.rejects)
    }

    fn turn(&mut self, work: impl FnOnce(&mut O, &mut Turn<'_, O::Out>) -> Result<()>) -> Result<()> {
        let Self { operator, stage, out, rejects, watermark, now } = self;
        work(operator, &mut Turn { out, rejects, stage, watermark: *watermark, now: *now })
    }
}

/// For operators that turn nothing aside; moments are in milliseconds.
#[cfg(test)]
impl<T, O: KeyedOperator<T>> Bench<T, O> {
    pub(super) fn new(operator: O) -> Self {
        Self::of(Box::new(operator), 0, Timestamp::MIN)
    }

    pub(super) fn record(&mut self, item: T, time: i64) {
        self.give(item, Timestamp::from_millis(time)).expect("it works");
        let rejects = self.rejects();
        assert!(rejects.is_empty(), "{rejects:?}");
    }

    pub(super) fn watermark(&mut self, time: i64) {
        self.pass(Timestamp::from_millis(time)).expect("it works");
    }

    pub(super) fn take(&mut self) -> Vec<(O::Out, i64)> {
        self.emitted().map(|(item, time)| (item, time.as_millis())).collect()
    }
}
