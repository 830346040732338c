//! The head of a stage that reads: source, parser, watermarks, barriers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::alignment::Aligned;
use super::keeping::Keeping;
use super::watermarks::{WatermarkStrategy, Watermarks};
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
        batch: usize [from 1] = "1024",
        /// What happens to a payload that does not parse: `dirty`, `skip` or `fail`.
        on_error: OnError = "dirty",
        /// How far a record may come behind a later one, in event time.
        out_of_orderness: Duration = "0s",
        /// After which time without a record a split (a partition, a file) holds nobody's watermark back; without it,
        /// event time stands still while a split has nothing to give.
        idle_after: Option<Duration> [above "0s"],
        /// How far each subtask may run ahead of the slowest subtask of any source, in event time: it reads no more until
        /// that has come closer. One that is idle or has ended is not waited for, nor one of which nothing has come yet.
        max_drift: Option<Duration> [above "0s"],
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

    fn splits(&self) -> Option<Vec<SplitId>> {
        self.source.splits()
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
    pub make: MakeTyped<T>,
    /// The common settings.
    pub settings: SourceSettings,
    /// How watermarks follow from records, if they have an event time.
    pub watermarks: Option<WatermarkStrategy<T>>,
    /// How positions are kept.
    pub keeping: Keeping,
    /// Keeps sources together in event time, if any source of the job is to wait.
    pub aligned: Option<Aligned>,
}

/// Makes a source that goes on where an earlier run was.
pub type MakeTyped<T> =
    Box<dyn FnOnce(Option<Arc<Positions>>) -> BoxFuture<'static, Result<Box<dyn Source<T>>>> + Send>;

/// The name under which positions are kept.
const POSITIONS: &str = "flare.positions";

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
        let Self { parts: TypedParts { make, settings, watermarks, mut keeping, aligned }, downstream } =
            *self;
        let cx = &downstream.cx;
        let mut watermarks = watermarks.map(Watermarks::new);
        let mut restored = None;
        let read = keeping.restore(|reader| {
            let parts: Vec<Positions> = reader.own(POSITIONS)?;
            restored = Some(Arc::new(Positions(parts.into_iter().flat_map(|part| part.0).collect())));
            watermarks.as_mut().map_or(Ok(()), |watermarks| watermarks.restore(cx.splits(), reader))
        });
        read.map_err(|error| error.with("operator", &cx.subtask))?;
        let source = make(restored).await?;
        let mut reader = Reader {
            source,
            intake: Intake::new(settings.batch.max(1)),
            records_in: cx.metrics().counter(&cx.subtask.operator.0, "records_in"),
            watermarks,
            on_error: settings.on_error,
            aligned,
            is_ahead: false,
            keeping,
            downstream,
            commits: BTreeMap::new(),
            pause: Pause::default(),
        };
        // A subtask without any split holds nobody's watermark back.
        reader.assign();
        reader.advance().await?;
        reader.begin();
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
    aligned: Option<Aligned>,
    /// Whether it waits for a slower source.
    is_ahead: bool,
    keeping: Keeping,
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
    Idle,
    Resume,
    /// A slower source may have come closer.
    Closer,
}

impl<T: Send + 'static> Reader<T> {
    /// One event.
    async fn turn(&mut self, link: &mut HostLink) -> Result<Turn> {
        let flush_at = self.downstream.flush_at();
        let resume_at = self.pause.until;
        let idle_at = self.watermarks.as_ref().and_then(Watermarks::idle_at);
        let reads = resume_at.is_none() && !self.is_ahead;
        let event = tokio::select! {
            biased;
            command = link.commands.recv() => Event::Command(command),
            progress = self.source.read(&mut self.intake), if reads => Event::Read(progress),
            () = closer(&mut self.aligned), if self.is_ahead => Event::Closer,
            () = until(flush_at) => Event::Flush,
            () = until(idle_at) => Event::Idle,
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
                self.acknowledge(link, barrier).await?;
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
            Event::Idle => self.advance().await?,
            Event::Resume => self.pause.until = None,
            Event::Closer => self.align(None),
        }
        Ok(Turn::GoOn)
    }

    /// Ends the stream, then waits until its last records are safe, to commit their positions.
    async fn finish(&mut self, link: &mut HostLink) -> Result<()> {
        self.aligned = None;
        self.downstream.control(Control::End).await?;
        self.acknowledge(link, Barrier::END).await?;
        while let Some(command) = link.commands.recv().await {
            match command {
                Command::Trigger(barrier) => self.acknowledge(link, barrier).await?,
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

    async fn acknowledge(&mut self, link: &HostLink, barrier: Barrier) -> Result<()> {
        let positions = self.source.positions();
        let snapshot = self.keeping.snapshot(|writer| {
            writer.own(POSITIONS, &positions)?;
            let splits = self.downstream.cx.splits();
            self.watermarks.as_ref().map_or(Ok(()), |watermarks| watermarks.snapshot(splits, writer))
        });
        self.commits.insert(barrier, positions);
        link.acknowledge(barrier, snapshot?).await;
        Ok(())
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
        let time = self.intake.time.take();
        if read == 0 && time.is_none() {
            return Ok(());
        }
        self.records_in.add(read as u64);
        self.downstream.count_read(read);
        self.reject(rejects).await?;
        self.assign();
        if let Some(watermarks) = &mut self.watermarks {
            watermarks.observe(&mut batch, Instant::now());
        }
        if !batch.is_empty() {
            self.intake.batch = Batch::with_capacity(limit.min(batch.len() * 2));
            self.downstream.batch(batch).await?;
        }
        if let Some(time) = time {
            self.say(time).await?;
        }
        self.advance().await
    }

    /// Tells the watermarks which splits are read.
    fn assign(&mut self) {
        if let (Some(watermarks), Some(splits)) = (&mut self.watermarks, self.source.splits()) {
            watermarks.assign(&splits, Instant::now());
        }
    }

    async fn advance(&mut self) -> Result<()> {
        match self.watermarks.as_mut().and_then(|watermarks| watermarks.advance(Instant::now())) {
            Some(control) => self.say(control).await,
            None => Ok(()),
        }
    }

    /// Sends a watermark or idleness on.
    async fn say(&mut self, control: Control) -> Result<()> {
        self.align(Some(control));
        self.downstream.control(control).await
    }

    fn begin(&mut self) {
        if let Some(aligned) = &mut self.aligned {
            aligned.begin();
            self.is_ahead = aligned.is_ahead();
        }
    }

    /// Tells the other sources how far this one has come, and sees whether it must wait for them.
    fn align(&mut self, control: Option<Control>) {
        let Some(aligned) = &mut self.aligned else { return };
        match control {
            Some(Control::Watermark(watermark)) => aligned.advance(watermark),
            Some(Control::Idle) => aligned.leave(),
            _ => {}
        }
        self.is_ahead = aligned.is_ahead();
    }

    async fn reject(&mut self, rejects: Vec<Reject>) -> Result<()> {
        turn_aside(&mut self.downstream, self.on_error, DirtyStage::Parse, rejects).await
    }
}

/// Returns when another source has moved; pending for one that waits for nobody. Cancel safe.
async fn closer(aligned: &mut Option<Aligned>) {
    match aligned {
        Some(aligned) => aligned.changed().await,
        None => std::future::pending().await,
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
