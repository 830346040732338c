//! The head of a stage that reads: source, parser, watermarks, barriers.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::time::Instant;

use crate::api::{
    ByteSource, Command, Counter, Decode, DirtyStage, Downstream, Format, HostLink, Intake, Payloads,
    Positions, Progress, Source, Subtask, until,
};
use crate::config::{choices, settings};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Barrier, Batch, Control, Meta, Reject, SplitId, Timestamp};

choices! {
    /// What happens to a record that cannot be parsed, or not be written.
    pub enum OnError {
        /// It goes to the dirty-data output.
        Dirty = "dirty",
        /// It is counted and forgotten.
        Skip = "skip",
        /// The job fails.
        Fail = "fail",
    }
}

settings! {
    /// Settings that every source has, whatever its connector.
    pub struct SourceSettings {
        /// How a payload holds a record: `json` or `csv`.
        format: Format = "json",
        /// At most this many records in a batch.
        batch: usize = "1024",
        /// What happens to a payload that does not parse: `dirty`, `skip` or `fail`.
        on_error: OnError = "dirty",
        /// How far a record may come behind a later one, in event time.
        out_of_orderness: Duration = "0s",
    }
}

/// Parses the payloads of a connector.
pub struct Decoding<T> {
    source: Box<dyn ByteSource>,
    decode: Decode<T>,
}

impl<T> Decoding<T> {
    /// Parses what `source` reads by `decode`.
    pub fn new(source: Box<dyn ByteSource>, decode: Decode<T>) -> Self {
        Self { source, decode }
    }
}

/// Parses what it takes into an intake.
pub(super) struct Parser<'a, T> {
    pub(super) decode: &'a mut Decode<T>,
    pub(super) intake: &'a mut Intake<T>,
}

impl<T: Send> Payloads for Parser<'_, T> {
    fn push(&mut self, payload: &[u8], meta: Meta) {
        match (self.decode)(payload) {
            Ok(item) => self.intake.batch.push(item, meta),
            Err(error) => self.intake.rejects.push(Reject::new(payload, meta, error)),
        }
    }

    fn reject(&mut self, beginning: &[u8], meta: Meta, error: Error) {
        self.intake.rejects.push(Reject { truncated: true, ..Reject::new(beginning, meta, error) });
    }

    fn is_full(&self) -> bool {
        self.intake.is_full()
    }

    fn is_empty(&self) -> bool {
        self.intake.batch.is_empty() && self.intake.rejects.is_empty()
    }
}

#[async_trait]
impl<T: Send> Source<T> for Decoding<T> {
    async fn read(&mut self, intake: &mut Intake<T>) -> Result<Progress> {
        let Self { source, decode } = self;
        source.read(&mut Parser { decode, intake }).await
    }

    fn positions(&self) -> Positions {
        self.source.positions()
    }

    async fn commit(&mut self, positions: &Positions) -> Result<()> {
        self.source.commit(positions).await
    }
}

/// How long a commit may hold up reading; the next one covers it.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(10);

/// What a source's subtask is made of.
pub struct TypedParts<T> {
    /// Makes the source when the subtask starts.
    pub make: BoxFuture<'static, Result<Box<dyn Source<T>>>>,
    /// The common settings.
    pub settings: SourceSettings,
    /// Reads event time from a record.
    pub event_time: Option<fn(&T) -> Timestamp>,
}

/// One subtask of a source.
pub struct SourceSubtask<T> {
    parts: TypedParts<T>,
    downstream: Downstream<T>,
}

impl<T: Send + 'static> SourceSubtask<T> {
    /// A subtask that gives its records to `downstream`.
    pub fn new(parts: TypedParts<T>, downstream: Downstream<T>) -> Self {
        Self { parts, downstream }
    }
}

#[async_trait]
impl<T: Send + 'static> Subtask for SourceSubtask<T> {
    async fn run(self: Box<Self>, mut link: HostLink) -> Result<()> {
        let Self { parts, downstream } = *self;
        let source = parts.make.await?;
        let cx = &downstream.cx;
        let mut reader = Reader {
            source,
            intake: Intake::new(parts.settings.batch.max(1)),
            records_in: cx.metrics().counter(&cx.subtask.operator.0, "records_in"),
            watermarks: parts.event_time.map(|read| Watermarks::new(read, parts.settings.out_of_orderness)),
            on_error: parts.settings.on_error,
            downstream,
            commits: BTreeMap::new(),
            pause: Pause::default(),
        };
        loop {
            match reader.turn(&mut link).await? {
                Turn::GoOn => {}
                Turn::End => {
                    // No record can come any more, however late.
                    reader.downstream.control(Control::Watermark(Timestamp::MAX)).await?;
                    return reader.finish(&mut link).await;
                }
                Turn::Stop => return reader.finish(&mut link).await,
            }
        }
    }
}

/// A source's subtask while it runs.
struct Reader<T> {
    source: Box<dyn Source<T>>,
    intake: Intake<T>,
    downstream: Downstream<T>,
    records_in: Counter,
    watermarks: Option<Watermarks<T>>,
    on_error: OnError,
    /// Positions at barriers that are not complete yet.
    commits: BTreeMap<Barrier, Positions>,
    pause: Pause,
}

enum Turn {
    GoOn,
    /// The input has ended.
    End,
    /// The host has asked to stop; there may be more input.
    Stop,
}

enum Event {
    Command(Option<Command>),
    Read(Result<Progress>),
    Flush,
    Resume,
}

impl<T: Send + 'static> Reader<T> {
    /// One event.
    async fn turn(&mut self, link: &mut HostLink) -> Result<Turn> {
        let flush_at = self.downstream.flush_at();
        let resume_at = self.pause.until;
        let event = tokio::select! {
            biased;
            command = link.commands.recv() => Event::Command(command),
            progress = self.source.read(&mut self.intake), if resume_at.is_none() => Event::Read(progress),
            () = until(flush_at) => Event::Flush,
            () = until(resume_at) => Event::Resume,
        };
        match event {
            Event::Command(None | Some(Command::Stop)) => {
                self.deliver().await?;
                return Ok(Turn::Stop);
            }
            Event::Command(Some(Command::Trigger(barrier))) => {
                self.deliver().await?;
                self.downstream.control(Control::Barrier(barrier)).await?;
                self.acknowledge(link, barrier).await;
            }
            Event::Command(Some(Command::Complete(barrier))) => self.commit(barrier).await,
            Event::Read(Ok(progress)) => {
                self.pause = Pause::default();
                self.deliver().await?;
                // A source that never waits must let others run.
                tokio::task::consume_budget().await;
                return Ok(if progress == Progress::End { Turn::End } else { Turn::GoOn });
            }
            Event::Read(Err(error)) if error.is_retryable() => {
                tracing::warn!(operator = %self.downstream.cx.subtask, "source paused: {}", error.report());
                self.deliver().await?;
                self.pause.grow();
            }
            Event::Read(Err(error)) => return Err(error),
            Event::Flush => self.downstream.flush().await?,
            Event::Resume => self.pause.until = None,
        }
        Ok(Turn::GoOn)
    }

    /// Ends the stream, then waits until its last records are safe, to commit their positions.
    async fn finish(&mut self, link: &mut HostLink) -> Result<()> {
        self.downstream.control(Control::End).await?;
        self.acknowledge(link, Barrier::END).await;
        while let Some(command) = link.commands.recv().await {
            match command {
                Command::Trigger(barrier) => self.acknowledge(link, barrier).await,
                Command::Complete(barrier) => {
                    self.commit(barrier).await;
                    if barrier == Barrier::END {
                        break;
                    }
                }
                Command::Stop => {}
            }
        }
        Ok(())
    }

    async fn acknowledge(&mut self, link: &HostLink, barrier: Barrier) {
        let positions = self.source.positions();
        let bytes = serde_json::to_vec(&positions).expect("positions are plain data");
        self.commits.insert(barrier, positions);
        let id = self.downstream.cx.subtask.operator.to_string();
        link.acknowledge(barrier, [(id, bytes)].into()).await;
    }

    async fn commit(&mut self, barrier: Barrier) {
        let Some(positions) = self.commits.remove(&barrier) else { return };
        self.commits.retain(|older, _| *older > barrier);
        let committed = tokio::time::timeout(COMMIT_TIMEOUT, self.source.commit(&positions)).await;
        let no_answer = |_| Err(Error::new(ErrorKind::Timeout, "no answer to a commit"));
        if let Err(error) = committed.unwrap_or_else(no_answer) {
            let cx = &self.downstream.cx;
            cx.metrics().counter(&cx.subtask.operator.0, "commit_failures").add(1);
            tracing::warn!(operator = %cx.subtask, "positions not committed: {}", error.report());
        }
    }

    /// Sends what was read so far on its way.
    async fn deliver(&mut self) -> Result<()> {
        let rejects = std::mem::take(&mut self.intake.rejects);
        let limit = self.intake.limit;
        let mut batch = std::mem::take(&mut self.intake.batch);
        let read = batch.len() + rejects.len();
        if read == 0 {
            return Ok(());
        }
        self.records_in.add(read as u64);
        self.downstream.count_read(read);
        self.reject(rejects).await?;
        let watermark = self.watermarks.as_mut().and_then(|watermarks| watermarks.observe(&mut batch));
        if !batch.is_empty() {
            self.intake.batch = Batch::with_capacity(limit.min(batch.len() * 2));
            self.downstream.batch(batch).await?;
        }
        if let Some(watermark) = watermark {
            self.downstream.control(Control::Watermark(watermark)).await?;
        }
        Ok(())
    }

    async fn reject(&mut self, rejects: Vec<Reject>) -> Result<()> {
        turn_aside(&mut self.downstream, self.on_error, DirtyStage::Parse, rejects).await
    }
}

/// Does with rejected records what `on_error` says.
pub(super) async fn turn_aside<T: Send + 'static>(
    downstream: &mut Downstream<T>,
    on_error: OnError,
    stage: DirtyStage,
    rejects: Vec<Reject>,
) -> Result<()> {
    if rejects.is_empty() {
        return Ok(());
    }
    match on_error {
        OnError::Dirty => downstream.reject(stage, rejects).await,
        OnError::Skip => {
            let cx = &downstream.cx;
            cx.metrics().counter(&cx.subtask.operator.0, "skipped").add(rejects.len() as u64);
            Ok(())
        }
        OnError::Fail => {
            let first = rejects.into_iter().next().expect("not empty");
            let cx = &downstream.cx;
            let message = "a record failed, and `on_error` is \"fail\"";
            let error = Error::new(ErrorKind::Failed, message).with("operator", &cx.subtask);
            Err(error.with("record", cx.origin(first.meta)).caused_by(first.error))
        }
    }
}

/// The pause after failed reads: a tenth of a second, doubled up to ten seconds.
#[derive(Default)]
struct Pause {
    until: Option<Instant>,
    length: Duration,
}

impl Pause {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(10);

    fn grow(&mut self) {
        self.length = (self.length * 2).clamp(Self::FIRST, Self::LONGEST);
        self.until = Some(Instant::now() + self.length);
    }
}

/// Bounded out-of-orderness per split: the watermark is the slowest split's highest event time minus the bound.
struct Watermarks<T> {
    event_time: fn(&T) -> Timestamp,
    bound: Duration,
    highest: BTreeMap<SplitId, Timestamp>,
    sent: Timestamp,
}

impl<T> Watermarks<T> {
    fn new(event_time: fn(&T) -> Timestamp, bound: Duration) -> Self {
        Self { event_time, bound, highest: BTreeMap::new(), sent: Timestamp::MIN }
    }

    /// Stamps the batch with event times and returns the watermark behind it, if that advanced.
    fn observe(&mut self, batch: &mut Batch<T>) -> Option<Timestamp> {
        batch.metas.resize(batch.items.len(), Meta::NONE);
        let mut last: Option<(SplitId, Timestamp)> = None;
        for (item, meta) in batch.items.iter().zip(&mut batch.metas) {
            meta.timestamp = (self.event_time)(item);
            match &mut last {
                Some((split, highest)) if *split == meta.split => *highest = (*highest).max(meta.timestamp),
                _ => {
                    self.raise(last);
                    last = Some((meta.split, meta.timestamp));
                }
            }
        }
        self.raise(last);
        let slowest = self.highest.values().min()?;
        // One millisecond less: records of exactly the watermark's time count as late.
        let watermark = slowest.saturating_sub(self.bound + Duration::from_millis(1));
        (watermark > self.sent).then(|| {
            self.sent = watermark;
            watermark
        })
    }

    fn raise(&mut self, seen: Option<(SplitId, Timestamp)>) {
        if let Some((split, time)) = seen {
            let highest = self.highest.entry(split).or_insert(time);
            *highest = (*highest).max(time);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_the_slowest_split_lead_the_watermark() {
        let mut watermarks =
            Watermarks::new(|time: &i64| Timestamp::from_millis(*time), Duration::from_millis(5));
        let meta = |split| Meta { split: SplitId(split), ..Meta::NONE };
        let mut batch = Batch::default();
        batch.push(100, meta(0));
        batch.push(50, meta(1));
        batch.push(90, meta(0));
        assert_eq!(watermarks.observe(&mut batch), Some(Timestamp::from_millis(44)));
        assert_eq!(batch.metas[2].timestamp, Timestamp::from_millis(90));
        let mut batch = Batch::default();
        batch.push(200, meta(0));
        assert_eq!(watermarks.observe(&mut batch), None);
    }
}
