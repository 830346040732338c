//! The user's own keyed operator: state, timers, records out.

use std::marker::PhantomData;

use serde::Serialize;

use super::subtask::{Emitted, KeyedOperator, Turn};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Batch, Key, Meta, Reject, SplitId, Timestamp};
use crate::state::{
    Access, Backend, Declare, EVENT_TIMERS, PROCESSING_TIMERS, SnapshotReader, SnapshotWriter, States, Timers,
};

/// A timer that has come due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Event time has passed this moment: the watermark is there.
    Event(Timestamp),
    /// Processing time has reached this moment.
    Processing(Timestamp),
}

/// A user's operator over a keyed stream: what it does with each record and each timer, with states of the record's
/// key.
///
/// It is made once for the job and cloned for each subtask. Fields that are no handles of states belong to the
/// subtask: they are not restored.
pub trait Process<K: Key, T>: Clone + Send + 'static {
    /// What it emits.
    type Out: Send + 'static;

    /// Declares the states, once in each subtask before the first record.
    ///
    /// # Errors
    /// Fails the job before it starts.
    fn open(&mut self, states: &mut Declare<'_, K>) -> Result<()> {
        let _ = states;
        Ok(())
    }

    /// Processes a record of the key `cx.key()`.
    ///
    /// # Errors
    /// `BadRecord` turns the record aside to the dirty-data output; what was written to states stays. Any other kind
    /// fails the job.
    fn process(&mut self, record: &T, cx: &mut Context<'_, K, Self::Out>) -> Result<()>;

    /// A timer of the key `cx.key()` has come due.
    ///
    /// # Errors
    /// Fails the job.
    fn on_timer(&mut self, timer: Timer, cx: &mut Context<'_, K, Self::Out>) -> Result<()> {
        let _ = (timer, cx);
        Ok(())
    }
}

/// What a [`Process`] sees and does: the key and its states, time and timers, records out.
pub struct Context<'a, K, U> {
    keyed: &'a mut Keyed<K>,
    out: &'a mut Emitted<U>,
    meta: Meta,
    watermark: Timestamp,
    now: Timestamp,
}

/// States and timers of one subtask.
struct Keyed<K> {
    states: States<K>,
    event: Timers<K>,
    processing: Timers<K>,
}

impl<K: Key, U> Context<'_, K, U> {
    /// The current key.
    pub fn key(&self) -> &K {
        self.keyed.states.key()
    }

    /// The record's event time; in a timer of event time, the timer's. `None` when the source gives none, and in a timer
    /// of processing time: what it emits has no event time.
    pub fn timestamp(&self) -> Option<Timestamp> {
        Some(self.meta.timestamp).filter(|timestamp| *timestamp != Timestamp::MIN)
    }

    /// How far event time has come: no earlier record is expected.
    pub fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// Processing time.
    pub fn processing_time(&self) -> Timestamp {
        self.now
    }

    /// Sends a record on, with the current record's event time.
    pub fn emit(&mut self, record: U) {
        self.out.push(record, self.meta);
    }

    /// Has `on_timer` called for this key when the watermark reaches `at`; at once after this record if it is there
    /// already. A timer that is set twice fires once.
    pub fn set_timer(&mut self, at: Timestamp) {
        let Keyed { states, event, .. } = &mut *self.keyed;
        event.set(at, states.key());
    }

    /// Deletes a timer of this key, if it is set.
    pub fn delete_timer(&mut self, at: Timestamp) {
        let Keyed { states, event, .. } = &mut *self.keyed;
        event.delete(at, states.key());
    }

    /// Has `on_timer` called for this key when processing time reaches `at`.
    pub fn set_processing_timer(&mut self, at: Timestamp) {
        let Keyed { states, processing, .. } = &mut *self.keyed;
        processing.set(at, states.key());
    }

    /// Deletes a timer of this key in processing time, if it is set.
    pub fn delete_processing_timer(&mut self, at: Timestamp) {
        let Keyed { states, processing, .. } = &mut *self.keyed;
        processing.delete(at, states.key());
    }
}

impl<K: Key, U> Access for Context<'_, K, U> {
    type Key = K;

    fn states(&mut self) -> &mut States<K> {
        &mut self.keyed.states
    }
}

/// Runs a [`Process`].
pub struct ProcessOperator<K, T, F, P> {
    key: F,
    process: P,
    keyed: Keyed<K>,
    types: PhantomData<fn(T)>,
}

impl<K, T, F, P> ProcessOperator<K, T, F, P>
where
    K: Key,
    F: FnMut(&T) -> K,
    P: Process<K, T>,
{
    /// Runs `process` on records with the key that `key` gives.
    ///
    /// # Errors
    /// What [`Process::open`] returns.
    pub fn new(key: F, process: P) -> Result<Self> {
        let (states, event, processing) = (States::default(), Timers::default(), Timers::default());
        let keyed = Keyed { states, event, processing };
        let mut own = Self { key, process, keyed, types: PhantomData };
        own.keep(&Backend::Memory)?;
        Ok(own)
    }

    /// Makes the states anew in `backend`.
    pub(super) fn keep(&mut self, backend: &Backend) -> Result<()> {
        self.keyed.states = States::new(backend.clone());
        self.process.open(&mut self.keyed.states.declare())
    }

    /// Fires what is due in event time.
    fn fire(&mut self, turn: &mut Turn<'_, P::Out>) -> Result<()> {
        while let Some((at, key)) = self.keyed.event.take_due(turn.watermark) {
            self.call(Timer::Event(at), key, turn)?;
        }
        Ok(())
    }

    /// Processes one record, and fires what is due then.
    pub(super) fn record(&mut self, item: &T, meta: Meta, turn: &mut Turn<'_, P::Out>) -> Result<()>
    where
        T: Serialize,
    {
        let Turn { out, stage, watermark, now, .. } = &mut *turn;
        stage.current = meta;
        self.keyed.states.select((self.key)(item), *now)?;
        let keyed = &mut self.keyed;
        let mut cx = Context { keyed, out, meta, watermark: *watermark, now: *now };
        if let Err(error) = self.process.process(item, &mut cx) {
            refuse(item, meta, error, turn)?;
        }
        if self.keyed.event.next().is_some_and(|at| at <= turn.watermark) {
            self.fire(turn)?;
        }
        Ok(())
    }

    /// Writes states and timers.
    pub(super) fn write(&mut self, writer: &mut SnapshotWriter) -> Result<()> {
        self.keyed.states.snapshot(writer)?;
        self.keyed.event.snapshot(EVENT_TIMERS, writer)?;
        self.keyed.processing.snapshot(PROCESSING_TIMERS, writer)
    }

    /// Reads states and timers.
    pub(super) fn read(&mut self, reader: &SnapshotReader<'_>, now: Timestamp) -> Result<()> {
        self.keyed.states.restore(reader, now)?;
        self.keyed.event.restore(EVENT_TIMERS, reader)?;
        self.keyed.processing.restore(PROCESSING_TIMERS, reader)
    }

    /// The user's operator.
    pub(super) fn process_mut(&mut self) -> &mut P {
        &mut self.process
    }

    fn call(&mut self, timer: Timer, key: K, turn: &mut Turn<'_, P::Out>) -> Result<()> {
        let timestamp = match timer {
            Timer::Event(at) => at,
            Timer::Processing(_) => Timestamp::MIN,
        };
        let Turn { out, stage, watermark, now, .. } = turn;
        let meta = Meta { timestamp, split: SplitId::NONE, offset: -1 };
        stage.current = meta;
        self.keyed.states.select(key, *now)?;
        let keyed = &mut self.keyed;
        let mut cx = Context { keyed, out, meta, watermark: *watermark, now: *now };
        let fired = self.process.on_timer(timer, &mut cx);
        fired.map_err(|error| {
            let failed = Error::new(ErrorKind::User, "a timer's function failed");
            let failed = failed.with("operator", &stage.subtask);
            failed.with("key", format!("{:?}", self.keyed.states.key())).caused_by(error)
        })
    }
}

impl<K, T, F, P> KeyedOperator<T> for ProcessOperator<K, T, F, P>
where
    K: Key,
    T: Serialize + Send + 'static,
    F: FnMut(&T) -> K + Send + 'static,
    P: Process<K, T>,
{
    type Out = P::Out;

    fn batch(&mut self, batch: Batch<T>, turn: &mut Turn<'_, P::Out>) -> Result<()> {
        batch.into_records().try_for_each(|(item, meta)| self.record(&item, meta, turn))
    }

    fn watermark(&mut self, turn: &mut Turn<'_, P::Out>) -> Result<()> {
        self.fire(turn)
    }

    fn next_timer(&self) -> Option<Timestamp> {
        self.keyed.processing.next()
    }

    fn processing_time(&mut self, turn: &mut Turn<'_, P::Out>) -> Result<()> {
        while let Some((at, key)) = self.keyed.processing.take_due(turn.now) {
            self.call(Timer::Processing(at), key, turn)?;
        }
        Ok(())
    }

    fn open(&mut self, backend: &Backend) -> Result<()> {
        self.keep(backend)
    }

    fn snapshot(&mut self, writer: &mut SnapshotWriter) -> Result<()> {
        self.write(writer)
    }

    fn restore(&mut self, reader: &SnapshotReader<'_>, now: Timestamp) -> Result<()> {
        self.read(reader, now)
    }
}

/// Turns a record aside that its function calls bad; any other error fails the job.
pub(super) fn refuse<T: Serialize, U>(
    item: &T,
    meta: Meta,
    error: Error,
    turn: &mut Turn<'_, U>,
) -> Result<()> {
    if error.kind() == ErrorKind::BadRecord {
        turn.rejects.push(Reject::new(serde_json::to_vec(item).unwrap_or_default(), meta, error));
        return Ok(());
    }
    let failed = Error::new(ErrorKind::User, "a record's function failed");
    let failed = failed.with("operator", &turn.stage.subtask);
    Err(failed.with("record", turn.stage.origin(meta)).caused_by(error))
}
