//! Windows of so many records of a key.

use std::marker::PhantomData;

use crate::error::Result;
use crate::model::{Batch, Key, Timestamp};
use crate::operators::keyed::{Aggregate, KeyedOperator, Turn};
use crate::state::{Backend, SnapshotReader, SnapshotWriter, Table};

use super::WINDOWS;

/// Gives a result for every `size` records of a key; what is left over at the end of the input gives none.
pub struct CountWindows<K, T, F, A: Aggregate<T>, W> {
    key: F,
    aggregate: A,
    out: W,
    size: u64,
    table: Table<K, (u64, A::Accumulator)>,
    types: PhantomData<fn(T)>,
}

impl<K: Key, T, F, A: Aggregate<T>, W> CountWindows<K, T, F, A, W> {
    /// Windows of `size` records of the key that `key` gives; `out` makes a record of a result.
    pub fn new(key: F, aggregate: A, size: u64, out: W) -> Self {
        Self { key, aggregate, out, size, table: Table::new(None), types: PhantomData }
    }
}

impl<K, T, F, A, U, W> KeyedOperator<T> for CountWindows<K, T, F, A, W>
where
    K: Key,
    T: Send + 'static,
    F: FnMut(&T) -> K + Send + 'static,
    A: Aggregate<T>,
    W: FnMut(&K, A::Out) -> U + Send + 'static,
    U: Send + 'static,
{
    type Out = U;

    fn batch(&mut self, batch: Batch<T>, turn: &mut Turn<'_, U>) -> Result<()> {
        let Self { key, aggregate, out, size, table, .. } = self;
        for (item, meta) in batch.into_records() {
            turn.stage.current = meta;
            let key = key(&item);
            let (count, accumulator) =
                table.get_or_insert_with(&key, turn.now, || (0, aggregate.create()))?;
            aggregate.add(accumulator, &item);
            *count += 1;
            if *count >= *size {
                let result = aggregate.result(accumulator);
                table.remove(&key, turn.now)?;
                turn.out.push(out(&key, result), meta);
            }
        }
        Ok(())
    }

    fn watermark(&mut self, _turn: &mut Turn<'_, U>) -> Result<()> {
        Ok(())
    }

    fn next_timer(&self) -> Option<Timestamp> {
        None
    }

    fn processing_time(&mut self, _turn: &mut Turn<'_, U>) -> Result<()> {
        Ok(())
    }

    fn open(&mut self, backend: &Backend) -> Result<()> {
        self.table = backend.table(WINDOWS, None)?;
        Ok(())
    }

    fn snapshot(&mut self, writer: &mut SnapshotWriter) -> Result<()> {
        self.table.snapshot(WINDOWS, writer)
    }

    fn restore(&mut self, reader: &SnapshotReader<'_>, now: Timestamp) -> Result<()> {
        self.table.restore(WINDOWS, reader, now)
    }
}
