//! Runs an operator by hand.

use std::sync::Arc;
use std::time::Duration;

use super::subtask::{Emitted, KeyedOperator, Turn};
use crate::api::{DirtyBudget, DirtyOutlet, Metrics, StageContext};
use crate::model::{Batch, Meta, OperatorId, Splits, SubtaskId, Timestamp};

/// An operator with all that it works with; moments are in milliseconds.
pub(super) struct Bench<T, O: KeyedOperator<T>> {
    pub(super) operator: O,
    stage: StageContext,
    out: Emitted<O::Out>,
    watermark: Timestamp,
    /// Processing time.
    pub(super) now: i64,
}

impl<T, O: KeyedOperator<T>> Bench<T, O> {
    pub(super) fn new(operator: O) -> Self {
        let dirty = DirtyOutlet {
            job: "test".into(),
            splits: Splits::default(),
            budget: Arc::new(DirtyBudget::new(None, None, Duration::from_secs(1))),
            output: None,
            metrics: Metrics::default(),
        };
        let subtask = SubtaskId { operator: OperatorId::from("test"), index: 0 };
        let stage = StageContext::new(subtask, [].into(), dirty);
        Self { operator, stage, out: Emitted::default(), watermark: Timestamp::MIN, now: 0 }
    }

    pub(super) fn record(&mut self, item: T, time: i64) {
        let mut batch = Batch::default();
        batch.push(item, Meta { timestamp: Timestamp::from_millis(time), ..Meta::NONE });
        self.turn(|operator, turn| operator.batch(batch, turn));
    }

    pub(super) fn watermark(&mut self, time: i64) {
        self.watermark = Timestamp::from_millis(time);
        self.turn(O::watermark);
    }

    /// What came out since, with event times.
    pub(super) fn take(&mut self) -> Vec<(O::Out, i64)> {
        let records = self.out.take().flat_map(Batch::into_records);
        records.map(|(item, meta)| (item, meta.timestamp.as_millis())).collect()
    }

    fn turn(&mut self, work: impl FnOnce(&mut O, &mut Turn<'_, O::Out>) -> crate::error::Result<()>) {
        let Self { operator, stage, out, watermark, now } = self;
        let mut rejects = Vec::new();
        let now = Timestamp::from_millis(*now);
        let mut turn = Turn { out, rejects: &mut rejects, stage, watermark: *watermark, now };
        work(operator, &mut turn).expect("it works");
        assert!(rejects.is_empty(), "{rejects:?}");
    }
}
