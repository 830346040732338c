//! The head of a keyed stage: gives records, watermarks and the time to an operator, and sends on what it emits.

use async_trait::async_trait;

use crate::api::{Clock, Counter, DirtyStage, Downstream, HostLink, InputPort, StageContext, Subtask, until};
use crate::error::Result;
use crate::model::{Barrier, Batch, Control, Message, Meta, Reject, Timestamp};
use crate::operators::Keeping;
use crate::state::{Backend, SnapshotReader, SnapshotWriter};

/// Records in a batch that is sent on; firing windows may give many at once.
const BATCH: usize = 1024;

/// What an operator gives, in batches.
#[derive(Debug)]
pub struct Emitted<U> {
    full: Vec<Batch<U>>,
    last: Batch<U>,
}

impl<U> Default for Emitted<U> {
    fn default() -> Self {
        Self { full: Vec::new(), last: Batch::default() }
    }
}

impl<U> Emitted<U> {
    /// Adds a record.
    pub fn push(&mut self, item: U, meta: Meta) {
        if self.last.len() >= BATCH {
            self.full.push(std::mem::replace(&mut self.last, Batch::with_capacity(BATCH)));
        }
        self.last.push(item, meta);
    }

    /// Where records without metadata are added, about `count` of them.
    pub fn plain(&mut self, count: usize) -> &mut Vec<U> {
        if !self.last.metas.is_empty() || self.last.len() >= BATCH {
            self.full.push(std::mem::take(&mut self.last));
        }
        self.last.items.reserve(count);
        &mut self.last.items
    }

    pub(super) fn take(&mut self) -> impl Iterator<Item = Batch<U>> {
        let last = std::mem::take(&mut self.last);
        self.full.drain(..).chain((!last.is_empty()).then_some(last))
    }
}

/// What an operator sees while it works.
pub struct Turn<'a, U> {
    /// Takes what it emits.
    pub out: &'a mut Emitted<U>,
    /// Takes what it turns aside.
    pub rejects: &'a mut Vec<Reject>,
    /// What the stage's operators share.
    pub stage: &'a mut StageContext,
    /// Event time has come so far: no earlier record is expected.
    pub watermark: Timestamp,
    /// Processing time.
    pub now: Timestamp,
}

/// An operator that remembers something for each key.
pub trait KeyedOperator<T>: Send + 'static {
    /// What it emits.
    type Out: Send + 'static;

    /// Processes records.
    ///
    /// # Errors
    /// What fails the job.
    fn batch(&mut self, batch: Batch<T>, turn: &mut Turn<'_, Self::Out>) -> Result<()>;

    /// The watermark has advanced to `turn.watermark`.
    ///
    /// # Errors
    /// What fails the job.
    fn watermark(&mut self, turn: &mut Turn<'_, Self::Out>) -> Result<()>;

    /// When [`KeyedOperator::processing_time`] is to be called next.
    fn next_timer(&self) -> Option<Timestamp>;

    /// Processing time has reached [`KeyedOperator::next_timer`].
    ///
    /// # Errors
    /// What fails the job.
    fn processing_time(&mut self, turn: &mut Turn<'_, Self::Out>) -> Result<()>;

    /// Has its states kept in `backend`; called first, without it they are in memory.
    ///
    /// # Errors
    /// What fails the job.
    fn open(&mut self, backend: &Backend) -> Result<()>;

    /// Writes what it remembers.
    ///
    /// # Errors
    /// What fails the job.
    fn snapshot(&mut self, writer: &mut SnapshotWriter) -> Result<()>;

    /// Takes up, before the first record, what was remembered in an earlier run; `now` is processing time.
    ///
    /// # Errors
    /// What fails the job.
    fn restore(&mut self, reader: &SnapshotReader<'_>, now: Timestamp) -> Result<()>;
}

/// One subtask of a keyed stage.
pub struct KeyedSubtask<T, O: KeyedOperator<T>> {
    input: InputPort<T>,
    operator: O,
    downstream: Downstream<O::Out>,
    clock: Clock,
    keeping: Keeping,
    watermark: Timestamp,
    out: Emitted<O::Out>,
    records_in: Counter,
}

/// The name under which the watermark is kept.
pub(crate) const WATERMARK: &str = "flare.watermark";

enum Event<T> {
    Message(Message<T>),
    Flush,
    Timer,
}

impl<T: Send + 'static, O: KeyedOperator<T>> KeyedSubtask<T, O> {
    /// A subtask of the operator between the two.
    pub fn new(
        input: InputPort<T>,
        operator: O,
        downstream: Downstream<O::Out>,
        clock: Clock,
        keeping: Keeping,
    ) -> Self {
        let cx = &downstream.cx;
        let records_in = cx.metrics().counter(&cx.subtask.operator.0, "records_in");
        let (watermark, out) = (Timestamp::MIN, Emitted::default());
        Self { input, operator, downstream, clock, keeping, watermark, out, records_in }
    }

    /// Makes the states, and takes up what an earlier run remembered.
    fn open(&mut self) -> Result<()> {
        let Self { operator, downstream, clock, keeping, watermark, .. } = self;
        operator.open(&keeping.backend(&downstream.cx.subtask)?)?;
        keeping.restore(|reader| {
            // Where several earlier subtasks become one, the slowest leads.
            *watermark = reader.own(WATERMARK)?.into_iter().min().unwrap_or(Timestamp::MIN);
            operator.restore(reader, clock.now())
        })
    }

    /// Tells the host of the state at a barrier.
    async fn acknowledge(&mut self, link: &HostLink, barrier: Barrier) -> Result<()> {
        let Self { operator, downstream, keeping, watermark, .. } = self;
        let snapshot = keeping.snapshot(|writer| {
            writer.own(WATERMARK, watermark)?;
            operator.snapshot(writer)
        });
        let snapshot = snapshot.map_err(|error| error.with("operator", &downstream.cx.subtask))?;
        link.acknowledge(barrier, snapshot).await;
        Ok(())
    }

    /// Lets the operator work, and sends on what it has emitted.
    async fn turn(
        &mut self,
        work: impl FnOnce(&mut O, &mut Turn<'_, O::Out>) -> Result<()> + Send,
    ) -> Result<()> {
        let Self { operator, downstream, clock, watermark, out, .. } = self;
        let (watermark, now) = (*watermark, clock.now());
        let mut rejects = Vec::new();
        let rejected = &mut rejects;
        let turn = |stage: &mut StageContext| {
            work(operator, &mut Turn { out, rejects: rejected, stage, watermark, now })
        };
        downstream.cx.guard(turn)??;
        downstream.reject(DirtyStage::Convert, rejects).await?;
        let batches: Vec<_> = self.out.take().collect();
        for batch in batches {
            self.downstream.batch(batch).await?;
        }
        Ok(())
    }

    /// Handles one message; `false` at the end of input.
    async fn message(&mut self, link: &HostLink, message: Message<T>) -> Result<bool> {
        match message {
            Message::Batch(batch) => {
                self.records_in.add(batch.len() as u64);
                self.turn(|operator, turn| operator.batch(batch, turn)).await?;
            }
            // Behind what is restored, event time has come further than the first watermarks say.
            Message::Control(Control::Watermark(watermark)) if watermark <= self.watermark => {}
            Message::Control(Control::Watermark(watermark)) => {
                self.watermark = watermark;
                self.turn(O::watermark).await?;
                self.downstream.control(Control::Watermark(watermark)).await?;
            }
            Message::Control(Control::End) => {
                self.downstream.control(Control::End).await?;
                self.acknowledge(link, Barrier::END).await?;
                return Ok(false);
            }
            Message::Control(control) => {
                self.downstream.control(control).await?;
                if let Control::Barrier(barrier) = control {
                    self.acknowledge(link, barrier).await?;
                }
            }
        }
        Ok(true)
    }

    async fn next(&mut self) -> Result<Event<T>> {
        let flush_at = self.downstream.flush_at();
        let timer = self.operator.next_timer().map(|at| self.clock.instant(at));
        Ok(tokio::select! {
            biased;
            () = until(timer) => Event::Timer,
            () = until(flush_at) => Event::Flush,
            message = self.input.next() => Event::Message(message?),
        })
    }
}

#[async_trait]
impl<T: Send + 'static, O: KeyedOperator<T>> Subtask for KeyedSubtask<T, O> {
    async fn run(mut self: Box<Self>, link: HostLink) -> Result<()> {
        self.open().map_err(|error| error.with("operator", &self.downstream.cx.subtask))?;
        loop {
            match self.next().await? {
                Event::Message(message) => {
                    if !self.message(&link, message).await? {
                        return Ok(());
                    }
                }
                Event::Flush => self.downstream.flush().await?,
                Event::Timer if self.operator.next_timer().is_some_and(|at| at <= self.clock.now()) => {
                    self.turn(O::processing_time).await?;
                }
                Event::Timer => {}
            }
        }
    }
}
