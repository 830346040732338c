//! A stage's inside: the pass of records to its outputs, and what is turned aside on the way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Counter, DirtyBudget, Gauge, HostLink, Metrics, Output};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{
    Barrier, Batch, Control, DirtyRecord, Meta, OperatorId, Reject, Splits, SubtaskId, Timestamp, panic_error,
};

/// One subtask of a stage, ready to run.
#[async_trait]
pub trait Subtask: Send {
    /// Runs until the input has ended, everything is written and the host has heard of it.
    ///
    /// # Errors
    /// What fails the job.
    async fn run(self: Box<Self>, link: HostLink) -> Result<()>;
}

/// Takes a stage's records batch by batch: fused operators, and outputs at their end.
#[async_trait]
pub trait Consumer<T>: Send {
    /// Takes records.
    ///
    /// # Errors
    /// What fails the job.
    fn batch(&mut self, batch: Batch<T>, cx: &mut StageContext) -> Result<()>;

    /// Takes a control message; it stays behind the records before it.
    ///
    /// # Errors
    /// What fails the job.
    fn control(&mut self, control: Control, cx: &mut StageContext) -> Result<()>;

    /// Sends on what waits for a fuller batch.
    fn flush(&mut self);

    /// Whether records wait for a fuller batch.
    fn is_buffering(&self) -> bool;

    /// Whether a downstream channel is full, so that nothing should be given before [`Consumer::unblock`].
    fn is_blocked(&self) -> bool;

    /// Waits until downstream has room.
    ///
    /// # Errors
    /// What fails the job.
    ///
    /// # Cancel safety
    /// Cancel safe.
    async fn unblock(&mut self) -> Result<()>;
}

/// What was being done to a record that was turned aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DirtyStage {
    /// Reading its bytes.
    Parse,
    /// A user's function.
    Convert,
    /// Finding its dimension row.
    Lookup,
    /// Writing it.
    Write,
}

impl DirtyStage {
    /// The name in dirty records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Convert => "convert",
            Self::Lookup => "lookup",
            Self::Write => "write",
        }
    }
}

/// Where a stage's rejected records go.
pub struct DirtyOutlet {
    /// Name of the job.
    pub job: Arc<str>,
    /// The names of splits.
    pub splits: Splits,
    /// The job's budget.
    pub budget: Arc<DirtyBudget>,
    /// The way to the dirty-data sink; `None` downstream of it, where nothing may be turned aside.
    pub output: Option<Output<DirtyRecord>>,
    /// The job's figures.
    pub metrics: Metrics,
}

/// What the operators of one subtask share.
pub struct StageContext {
    /// Who this is.
    pub subtask: SubtaskId,
    /// The record being processed, where the batch carries metadata.
    pub current: Meta,
    /// The fused operators behind the head, in order.
    fused: Arc<[OperatorId]>,
    /// Records that fused operators turned aside in this batch, each with its operator's place; sent on at its end.
    rejects: Vec<(usize, Reject)>,
    /// The place of the fused operator whose function has panicked.
    panicked: Option<usize>,
    dirty: DirtyOutlet,
    records_out: Counter,
    /// How far event time has come behind this stage, in milliseconds; `None` before the first watermark.
    watermark: Option<Gauge>,
}

impl StageContext {
    /// The context of one subtask; `fused` are the operators behind the stage's head, in order.
    pub fn new(subtask: SubtaskId, fused: Arc<[OperatorId]>, dirty: DirtyOutlet) -> Self {
        let records_out = dirty.metrics.counter(&subtask.operator.0, "records_out");
        let (current, rejects) = (Meta::NONE, Vec::new());
        Self { subtask, current, fused, rejects, panicked: None, dirty, records_out, watermark: None }
    }

    /// Turns the current record aside in the fused operator at `place`, counted from 0.
    pub fn reject(&mut self, place: usize, raw: Vec<u8>, error: Error) {
        self.rejects.push((place, Reject::new(raw, self.current, error)));
    }

    /// Runs `work`, which calls functions of the user; a panic in it becomes an error that names the operator, the
    /// record and the place in the source.
    ///
    /// # Errors
    /// `User` when it panicked.
    pub fn guard<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> Result<R> {
        let result = catch_unwind(AssertUnwindSafe(|| work(self)));
        result.map_err(|panic| {
            let place = self.panicked.take();
            let error = panic_error(ErrorKind::User, "user code panicked", &*panic)
                .with("operator", self.operator(place))
                .with("subtask", &self.subtask);
            if self.current == Meta::NONE { error } else { error.with("record", self.origin(self.current)) }
        })
    }

    /// Calls a function of the user for the fused operator at `place`, so that a panic is blamed on that operator.
    #[inline(always)]
    pub fn blame<R>(&mut self, place: usize, function: impl FnOnce() -> R) -> R {
        let blame = Blame { cx: self, place };
        let result = function();
        // Only a panic drops it, so that a call that goes well costs nothing.
        std::mem::forget(blame);
        result
    }

    /// The fused operator at `place`, else the stage's head.
    fn operator(&self, place: Option<usize>) -> &OperatorId {
        place.and_then(|place| self.fused.get(place)).unwrap_or(&self.subtask.operator)
    }

    /// The names of splits.
    pub fn splits(&self) -> &Splits {
        &self.dirty.splits
    }

    /// The job's figures.
    pub fn metrics(&self) -> &Metrics {
        &self.dirty.metrics
    }

    /// Counts records that leave the stage's head.
    pub fn count_out(&self, records: usize) {
        self.records_out.add(records as u64);
    }

    fn note_watermark(&mut self, watermark: Timestamp) {
        let Self { watermark: gauge, subtask, dirty, .. } = self;
        let name = || format!("watermark.{}", subtask.index);
        let gauge = gauge.get_or_insert_with(|| dirty.metrics.gauge(&subtask.operator.0, &name()));
        gauge.set(watermark.as_millis());
    }

    /// Where a record was read, in words.
    pub fn origin(&self, meta: Meta) -> String {
        match self.dirty.splits.name(meta.split) {
            Some(split) => format!("{}@{}", split.name, meta.offset),
            None => "unknown".to_owned(),
        }
    }

    /// Sends rejected records to the dirty-data output, each with the place of the fused operator that refused it.
    fn turn_aside(
        &mut self,
        stage: DirtyStage,
        rejects: impl ExactSizeIterator<Item = (Option<usize>, Reject)>,
    ) -> Result<()> {
        let mut records = Vec::with_capacity(rejects.len());
        for (place, reject) in rejects {
            let kind = reject.error.kind().name();
            let name = format!("dirty.{}.{kind}", stage.name());
            let operator = self.operator(place);
            self.dirty.metrics.counter(&operator.0, &name).add(1);
            let record = self.dirty_record(stage, operator, reject);
            let last = || format!("{}@{}", record.split, record.offset);
            let budget = self.dirty.budget.spend();
            budget.map_err(|error| {
                let error = error.with("operator", operator).with("last", last());
                error.with("cause", record.causes.join(": "))
            })?;
            records.push(record);
        }
        let Some(mut output) = self.dirty.output.take() else {
            let message = "a record failed behind the dirty-data output, where it cannot be turned aside";
            let error = Error::new(ErrorKind::Failed, message);
            return Err(match records.first() {
                Some(DirtyRecord { operator, causes, .. }) => {
                    error.with("operator", operator).with("cause", causes.join(": "))
                }
                None => error,
            });
        };
        let sent = output.batch(records.into(), self);
        // Dirty records are few and people wait for them, so they do not wait for a fuller batch.
        output.flush();
        self.dirty.output = Some(output);
        sent
    }

    fn dirty_record(&self, stage: DirtyStage, operator: &OperatorId, reject: Reject) -> DirtyRecord {
        let (raw, raw_base64) = match String::from_utf8(reject.raw) {
            Ok(text) => (text, false),
            Err(error) => (base64(error.as_bytes()), true),
        };
        let meta = reject.meta;
        let split = self.dirty.splits.name(meta.split);
        DirtyRecord {
            job: self.dirty.job.to_string(),
            stage: stage.name().to_owned(),
            operator: operator.to_string(),
            subtask: u32::try_from(self.subtask.index).unwrap_or(u32::MAX),
            kind: reject.error.kind().name().to_owned(),
            causes: reject.error.chain(),
            source: split.as_ref().map(|split| split.source.to_string()).unwrap_or_default(),
            split: split.map(|split| split.name.to_string()).unwrap_or_default(),
            offset: meta.offset,
            event_time: Some(meta.timestamp).filter(|time| *time != Timestamp::MIN),
            rejected_at: Timestamp::now(),
            attempt: reject.attempt,
            raw,
            raw_base64,
            raw_truncated: reject.truncated,
        }
    }
}

/// Notes, when a panic drops it, whose function panicked.
struct Blame<'a> {
    cx: &'a mut StageContext,
    place: usize,
}

impl Drop for Blame<'_> {
    #[cold]
    fn drop(&mut self) {
        self.cx.panicked = Some(self.place);
    }
}

/// Standard base64 with padding (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The output of a stage that nobody reads.
struct Nowhere;

#[async_trait]
impl Consumer<()> for Nowhere {
    fn batch(&mut self, _batch: Batch<()>, _cx: &mut StageContext) -> Result<()> {
        Ok(())
    }

    fn control(&mut self, _control: Control, _cx: &mut StageContext) -> Result<()> {
        Ok(())
    }

    fn flush(&mut self) {}

    fn is_buffering(&self) -> bool {
        false
    }

    fn is_blocked(&self) -> bool {
        false
    }

    async fn unblock(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Downstream<()> {
    /// The way out of a stage that ends its stream: only dirty records leave it.
    pub fn nowhere(cx: StageContext) -> Self {
        Self::new(Box::new(Nowhere), cx, Duration::ZERO)
    }
}

/// A stage's way out, as its head uses it: keeps order, bounds latency, passes backpressure on.
pub struct Downstream<T> {
    consumer: Box<dyn Consumer<T>>,
    /// What the stage's operators share.
    pub cx: StageContext,
    latency: Duration,
    flush_at: Option<Instant>,
}

impl<T: Send + 'static> Downstream<T> {
    /// Records wait at most `latency` for a fuller batch.
    pub fn new(consumer: Box<dyn Consumer<T>>, cx: StageContext, latency: Duration) -> Self {
        Self { consumer, cx, latency, flush_at: None }
    }

    /// Sends records on; waits while downstream is full.
    ///
    /// # Errors
    /// What fails the job.
    pub async fn batch(&mut self, batch: Batch<T>) -> Result<()> {
        self.cx.count_out(batch.len());
        self.consumer.batch(batch, &mut self.cx)?;
        if !self.cx.rejects.is_empty() {
            let rejects = std::mem::take(&mut self.cx.rejects).into_iter();
            let placed = rejects.map(|(place, reject)| (Some(place), reject));
            self.cx.turn_aside(DirtyStage::Convert, placed)?;
        }
        self.settle().await
    }

    /// Sends a control message on.
    ///
    /// # Errors
    /// What fails the job.
    pub async fn control(&mut self, control: Control) -> Result<()> {
        self.consumer.control(control, &mut self.cx)?;
        if let Control::Watermark(watermark) = control {
            self.cx.note_watermark(watermark);
        }
        // Only barriers and the end concern the dirty-data output.
        if matches!(control, Control::Barrier(_) | Control::End)
            && let Some(mut output) = self.cx.dirty.output.take()
        {
            let sent = output.control(control, &mut self.cx);
            self.cx.dirty.output = Some(output);
            sent?;
        }
        self.settle().await
    }

    /// Turns records aside in the stage's head.
    ///
    /// # Errors
    /// `DirtyBudget` when it is used up.
    pub async fn reject(&mut self, stage: DirtyStage, rejects: Vec<Reject>) -> Result<()> {
        if rejects.is_empty() {
            return Ok(());
        }
        self.cx.turn_aside(stage, rejects.into_iter().map(|reject| (None, reject)))?;
        self.settle().await
    }

    /// When [`Downstream::flush`] is due; wait for it beside the input.
    pub fn flush_at(&self) -> Option<Instant> {
        self.flush_at
    }

    /// Sends on what waits for a fuller batch.
    ///
    /// # Errors
    /// What fails the job.
    pub async fn flush(&mut self) -> Result<()> {
        self.consumer.flush();
        self.settle().await
    }

    /// Counts records read by a source against the dirty budget.
    pub fn count_read(&self, records: usize) {
        self.cx.dirty.budget.read(records as u64);
    }

    async fn settle(&mut self) -> Result<()> {
        // Under constant input nobody gets round to the timer.
        let due = self.flush_at.is_some_and(|at| at <= Instant::now());
        if (due || self.latency.is_zero()) && self.consumer.is_buffering() {
            self.consumer.flush();
        }
        while self.consumer.is_blocked() {
            self.consumer.unblock().await?;
        }
        if let Some(output) = &mut self.cx.dirty.output {
            output.unblock().await?;
        }
        self.flush_at = match (self.consumer.is_buffering(), self.flush_at) {
            (false, _) => None,
            (true, Some(at)) => Some(at),
            (true, None) => Some(Instant::now() + self.latency),
        };
        Ok(())
    }

    /// Ends the stage's output and tells the host that everything before it is safe here.
    ///
    /// # Errors
    /// What fails the job.
    pub async fn end(&mut self, link: &HostLink) -> Result<()> {
        self.control(Control::End).await?;
        link.acknowledge(Barrier::END, Default::default()).await;
        Ok(())
    }
}

/// Sleeps until `at`; for ever without one. Cancel safe.
pub(crate) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Edge;
    use crate::model::Message;

    #[tokio::test(start_paused = true)]
    async fn flushes_in_time_under_constant_input() {
        let latency = Duration::from_millis(10);
        let metrics = Metrics::default();
        let budget = Arc::new(DirtyBudget::new(None, None, latency));
        let (job, splits) = ("test".into(), Splits::default());
        let dirty = DirtyOutlet { job, splits, budget, output: None, metrics };
        let subtask = SubtaskId { operator: OperatorId::from("test"), index: 0 };
        let cx = StageContext::new(subtask, [].into(), dirty);
        let (sender, mut receiver) = tokio::sync::mpsc::channel::<Message<u32>>(1);
        let output = Output::new(vec![Edge::Forward(sender)], 100, None);
        let mut downstream = Downstream::new(Box::new(output), cx, latency);
        downstream.batch(vec![1].into()).await.expect("taken");
        assert!(receiver.try_recv().is_err(), "it waits for a fuller batch");
        tokio::time::advance(latency).await;
        // A batch of which the filters left nothing.
        downstream.batch(Batch::default()).await.expect("taken");
        assert!(receiver.try_recv().is_ok());
    }
}
