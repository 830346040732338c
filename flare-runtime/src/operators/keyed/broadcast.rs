//! The user's own keyed operator with a map that a control stream changes in every subtask.

use std::collections::BTreeMap;

use serde::Serialize;

use super::process::{Context, Process, ProcessOperator, Timer, refuse};
use super::subtask::{KeyedOperator, Turn};
use crate::error::{ErrorKind, Result};
use crate::model::{Batch, Either, Key, Timestamp};
use crate::state::{Backend, Declare, Kept, SnapshotReader, SnapshotWriter};

/// The name under which the shared map is kept.
pub(crate) const SHARED: &str = "flare.shared";

/// A user's operator over a keyed stream and a control stream: as [`Process`], with a map that all keys see. Every
/// subtask has the map whole, since every control record comes to every subtask.
///
/// The order between the two streams is not defined: a record may be processed before or after a control record that
/// came before it. Subtasks, too, may see control records of several subtasks in different orders, so that what
/// [`BroadcastProcess::process_control`] writes should not depend on it.
pub trait BroadcastProcess<K: Key, T, C>: Clone + Send + 'static {
    /// What it emits.
    type Out: Send + 'static;
    /// The keys of the shared map.
    type Name: Ord + Clone + Kept;
    /// The values of the shared map.
    type Value: Clone + Kept;

    /// Declares the states by key, once in each subtask before the first record.
    ///
    /// # Errors
    /// Fails the job before it starts.
    fn open(&mut self, states: &mut Declare<'_, K>) -> Result<()> {
        let _ = states;
        Ok(())
    }

    /// Processes a record of the key `cx.key()`; `shared` is what the control records made it.
    ///
    /// # Errors
    /// `BadRecord` turns the record aside to the dirty-data output; what was written to states stays. Any other kind
    /// fails the job.
    fn process(
        &mut self,
        record: &T,
        shared: &BTreeMap<Self::Name, Self::Value>,
        cx: &mut Context<'_, K, Self::Out>,
    ) -> Result<()>;

    /// Changes the shared map, in every subtask in the same way.
    ///
    /// # Errors
    /// `BadRecord` turns the control record aside to the dirty-data output, once and not by every subtask. Any other
    /// kind fails the job.
    fn process_control(&mut self, control: &C, shared: &mut BTreeMap<Self::Name, Self::Value>) -> Result<()>;

    /// A timer of the key `cx.key()` has come due.
    ///
    /// # Errors
    /// Fails the job.
    fn on_timer(
        &mut self,
        timer: Timer,
        shared: &BTreeMap<Self::Name, Self::Value>,
        cx: &mut Context<'_, K, Self::Out>,
    ) -> Result<()> {
        let _ = (timer, shared, cx);
        Ok(())
    }
}

/// A [`BroadcastProcess`] with its map, as a [`Process`] of the keyed records.
struct Sharing<K: Key, T, C, P: BroadcastProcess<K, T, C>> {
    process: P,
    shared: BTreeMap<P::Name, P::Value>,
}

impl<K: Key, T, C, P: BroadcastProcess<K, T, C>> Sharing<K, T, C, P> {
    fn new(process: P) -> Self {
        Self { process, shared: BTreeMap::new() }
    }
}

impl<K: Key, T, C, P: BroadcastProcess<K, T, C>> Clone for Sharing<K, T, C, P> {
    fn clone(&self) -> Self {
        Self { process: self.process.clone(), shared: self.shared.clone() }
    }
}

impl<K: Key, T: 'static, C: 'static, P: BroadcastProcess<K, T, C>> Process<K, T> for Sharing<K, T, C, P> {
    type Out = P::Out;

    fn open(&mut self, states: &mut Declare<'_, K>) -> Result<()> {
        self.process.open(states)
    }

    fn process(&mut self, record: &T, cx: &mut Context<'_, K, P::Out>) -> Result<()> {
        self.process.process(record, &self.shared, cx)
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context<'_, K, P::Out>) -> Result<()> {
        self.process.on_timer(timer, &self.shared, cx)
    }
}

/// Runs a [`BroadcastProcess`].
pub struct BroadcastOperator<K, T, C, F, P>
where
    K: Key,
    P: BroadcastProcess<K, T, C>,
{
    keyed: ProcessOperator<K, T, F, Sharing<K, T, C, P>>,
}

impl<K, T, C, F, P> BroadcastOperator<K, T, C, F, P>
where
    K: Key,
    T: 'static,
    C: 'static,
    F: FnMut(&T) -> K,
    P: BroadcastProcess<K, T, C>,
{
    /// Runs `process` on records with the key that `key` gives.
    ///
    /// # Errors
    /// What [`BroadcastProcess::open`] returns.
    pub fn new(key: F, process: P) -> Result<Self> {
        Ok(Self { keyed: ProcessOperator::new(key, Sharing::new(process))? })
    }
}

impl<K, T, C, F, P> KeyedOperator<Either<T, C>> for BroadcastOperator<K, T, C, F, P>
where
    K: Key,
    T: Serialize + Send + 'static,
    C: Serialize + Send + 'static,
    F: FnMut(&T) -> K + Send + 'static,
    P: BroadcastProcess<K, T, C>,
{
    type Out = P::Out;

    fn batch(&mut self, batch: Batch<Either<T, C>>, turn: &mut Turn<'_, P::Out>) -> Result<()> {
        for (item, meta) in batch.into_records() {
            let control = match item {
                Either::Left(item) => {
                    self.keyed.record(&item, meta, turn)?;
                    continue;
                }
                Either::Right(control) => control,
            };
            turn.stage.current = meta;
            let Sharing { process, shared } = self.keyed.process_mut();
            let Err(error) = process.process_control(&control, shared) else { continue };
            // Every subtask refuses it; it is turned aside and counted by one of them.
            if turn.stage.subtask.index == 0 || error.kind() != ErrorKind::BadRecord {
                refuse(&control, meta, error, turn)?;
            }
        }
        Ok(())
    }

    fn watermark(&mut self, turn: &mut Turn<'_, P::Out>) -> Result<()> {
        self.keyed.watermark(turn)
    }

    fn next_timer(&self) -> Option<Timestamp> {
        self.keyed.next_timer()
    }

    fn processing_time(&mut self, turn: &mut Turn<'_, P::Out>) -> Result<()> {
        self.keyed.processing_time(turn)
    }

    fn open(&mut self, backend: &Backend) -> Result<()> {
        self.keyed.keep(backend)
    }

    fn snapshot(&mut self, writer: &mut SnapshotWriter) -> Result<()> {
        writer.own(SHARED, &self.keyed.process_mut().shared)?;
        self.keyed.write(writer)
    }

    fn restore(&mut self, reader: &SnapshotReader<'_>, now: Timestamp) -> Result<()> {
        // All earlier subtasks had the same.
        if let Some(shared) = reader.own(SHARED)?.into_iter().next() {
            self.keyed.process_mut().shared = shared;
        }
        self.keyed.read(reader, now)
    }
}
