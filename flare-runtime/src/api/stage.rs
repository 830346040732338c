//! A stage's inside: the pass of records to its outputs, and what is turned aside on the way.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{Counter, HostLink, Metrics, Output};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Barrier, Batch, Control, DirtyRecord, Meta, Reject, Splits, SubtaskId, Timestamp};

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

/// How much dirt a job bears: a count and a ratio over a window; beyond it the job fails.
#[derive(Debug)]
pub struct DirtyBudget {
    count: Option<u64>,
    ratio: Option<f64>,
    window: Duration,
    spent: Mutex<Window>,
}

/// Slices of the window, oldest first: when each began, records read, records turned aside.
#[derive(Debug, Default)]
struct Window {
    slices: VecDeque<(Instant, u64, u64)>,
}

impl DirtyBudget {
    /// A ratio is only judged once so many records were read in the window.
    const RATIO_SAMPLE: u64 = 100;
    const SLICES: u32 = 20;

    /// At most `count` dirty records and at most `ratio` (0 to 1) of the records read, over `window`; `None` is no
    /// limit.
    pub fn new(count: Option<u64>, ratio: Option<f64>, window: Duration) -> Self {
        Self { count, ratio, window, spent: Mutex::default() }
    }

    /// Counts records read.
    pub fn read(&self, records: u64) {
        if self.ratio.is_some() {
            self.add(records, 0);
        }
    }

    /// Counts a record turned aside.
    ///
    /// # Errors
    /// `DirtyBudget` when that is one too many.
    pub fn spend(&self) -> Result<()> {
        if self.count.is_none() && self.ratio.is_none() {
            return Ok(());
        }
        let (read, dirty) = self.add(0, 1);
        let ratio = dirty as f64 / read.max(1) as f64;
        let over = if self.count.is_some_and(|count| dirty > count) {
            "more dirty records than `dirty.budget_count` allows"
        } else if read >= Self::RATIO_SAMPLE && self.ratio.is_some_and(|allowed| ratio > allowed) {
            "a higher part of dirty records than `dirty.budget_ratio` allows"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::DirtyBudget, over)
            .with("dirty", dirty)
            .with("read", read)
            .with("window", crate::model::format_duration(self.window)))
    }

    fn add(&self, read: u64, dirty: u64) -> (u64, u64) {
        let now = Instant::now();
        let mut window = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let slices = &mut window.slices;
        while slices.front().is_some_and(|(began, ..)| now.duration_since(*began) > self.window) {
            slices.pop_front();
        }
        match slices.back_mut() {
            Some(last) if now.duration_since(last.0) < self.window / Self::SLICES => {
                last.1 += read;
                last.2 += dirty;
            }
            _ => slices.push_back((now, read, dirty)),
        }
        slices.iter().fold((0, 0), |sum, slice| (sum.0 + slice.1, sum.1 + slice.2))
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
    /// Records that fused operators turned aside in this batch; sent on at its end.
    pub rejects: Vec<Reject>,
    /// The record being processed, where the batch carries metadata.
    pub current: Meta,
    dirty: DirtyOutlet,
    records_out: Counter,
}

impl StageContext {
    /// The context of one subtask.
    pub fn new(subtask: SubtaskId, dirty: DirtyOutlet) -> Self {
        let records_out = dirty.metrics.counter(&subtask.operator.0, "records_out");
        Self { subtask, rejects: Vec::new(), current: Meta::NONE, dirty, records_out }
    }

    /// Turns the current record aside, in a fused operator.
    pub fn reject(&mut self, raw: Vec<u8>, error: Error) {
        self.rejects.push(Reject::new(raw, self.current, error));
    }

    /// The job's figures.
    pub fn metrics(&self) -> &Metrics {
        &self.dirty.metrics
    }

    /// Counts records that leave the stage's head.
    pub fn count_out(&self, records: usize) {
        self.records_out.add(records as u64);
    }

    /// Where a record was read, in words.
    pub fn origin(&self, meta: Meta) -> String {
        match self.dirty.splits.name(meta.split) {
            Some(split) => format!("{}@{}", split.name, meta.offset),
            None => "unknown".to_owned(),
        }
    }

    /// Sends rejected records to the dirty-data output.
    fn turn_aside(&mut self, stage: DirtyStage, rejects: Vec<Reject>) -> Result<()> {
        let mut records = Vec::with_capacity(rejects.len());
        for reject in rejects {
            let kind = reject.error.kind().name();
            let name = format!("dirty.{}.{kind}", stage.name());
            self.dirty.metrics.counter(&self.subtask.operator.0, &name).add(1);
            let record = self.dirty_record(stage, reject);
            let place = || format!("{}@{}", record.split, record.offset);
            let budget = self.dirty.budget.spend();
            budget.map_err(|error| error.with("last", place()).with("cause", record.causes.join(": ")))?;
            records.push(record);
        }
        let Some(mut output) = self.dirty.output.take() else {
            let causes = records.first().map(|record| record.causes.join(": ")).unwrap_or_default();
            let message = "a record failed behind the dirty-data output, where it cannot be turned aside";
            return Err(Error::new(ErrorKind::Failed, message).with("cause", causes));
        };
        let sent = output.batch(records.into(), self);
        // Dirty records are few and people wait for them, so they do not wait for a fuller batch.
        output.flush();
        self.dirty.output = Some(output);
        sent
    }

    fn dirty_record(&self, stage: DirtyStage, reject: Reject) -> DirtyRecord {
        let (raw, raw_base64) = match String::from_utf8(reject.raw) {
            Ok(text) => (text, false),
            Err(error) => (base64(error.as_bytes()), true),
        };
        let meta = reject.meta;
        let split = self.dirty.splits.name(meta.split);
        DirtyRecord {
            job: self.dirty.job.to_string(),
            stage: stage.name().to_owned(),
            operator: self.subtask.operator.to_string(),
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
            let rejects = std::mem::take(&mut self.cx.rejects);
            self.cx.turn_aside(DirtyStage::Convert, rejects)?;
        }
        self.settle().await
    }

    /// Sends a control message on.
    ///
    /// # Errors
    /// What fails the job.
    pub async fn control(&mut self, control: Control) -> Result<()> {
        self.consumer.control(control, &mut self.cx)?;
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

    /// Turns records aside.
    ///
    /// # Errors
    /// `DirtyBudget` when it is used up.
    pub async fn reject(&mut self, stage: DirtyStage, rejects: Vec<Reject>) -> Result<()> {
        if rejects.is_empty() {
            return Ok(());
        }
        self.cx.turn_aside(stage, rejects)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Edge;
    use crate::model::{Message, OperatorId};

    #[tokio::test(start_paused = true)]
    async fn flushes_in_time_under_constant_input() {
        let latency = Duration::from_millis(10);
        let metrics = Metrics::default();
        let budget = Arc::new(DirtyBudget::new(None, None, latency));
        let (job, splits) = ("test".into(), Splits::default());
        let dirty = DirtyOutlet { job, splits, budget, output: None, metrics };
        let cx = StageContext::new(SubtaskId { operator: OperatorId::from("test"), index: 0 }, dirty);
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

    #[tokio::test(start_paused = true)]
    async fn forgets_dirt_older_than_the_window() {
        let budget = DirtyBudget::new(Some(2), None, Duration::from_secs(60));
        budget.spend().expect("one");
        budget.spend().expect("two");
        tokio::time::advance(Duration::from_secs(61)).await;
        budget.spend().expect("the first two are forgotten");
        budget.spend().expect("two again");
        let error = budget.spend().expect_err("three");
        assert_eq!(error.kind(), ErrorKind::DirtyBudget);
        assert_eq!(error.context("dirty"), Some("3"));
    }

    #[tokio::test(start_paused = true)]
    async fn judges_a_ratio_only_on_enough_records() {
        let budget = DirtyBudget::new(None, Some(0.1), Duration::from_secs(60));
        budget.read(10);
        for _ in 0..5 {
            budget.spend().expect("too few records to judge");
        }
        budget.read(90);
        for _ in 0..5 {
            budget.spend().expect("a tenth is allowed");
        }
        assert!(budget.spend().is_err());
    }
}
