//! Running results by key: each record gives the result with it included.

use std::marker::PhantomData;
use std::ops::AddAssign;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::subtask::{KeyedOperator, Turn};
use crate::error::Result;
use crate::model::{Batch, Key, Meta, Timestamp};
use crate::state::{Backend, Kept, SnapshotReader, SnapshotWriter, Table};

/// The name under which running results are kept.
pub(crate) const RESULTS: &str = "result";

/// A result that is built up record by record, in an accumulator that can be merged with another.
pub trait Aggregate<T>: Clone + Send + 'static {
    /// What is remembered.
    type Accumulator: Clone + Serialize + DeserializeOwned + Send + 'static;
    /// The result.
    type Out: Send + 'static;

    /// An accumulator of no record.
    fn create(&self) -> Self::Accumulator;

    /// Adds a record.
    fn add(&self, accumulator: &mut Self::Accumulator, record: &T);

    /// Adds a record that nobody else needs, as [`Aggregate::add`] does.
    fn add_owned(&self, accumulator: &mut Self::Accumulator, record: T) {
        self.add(accumulator, &record);
    }

    /// Adds the records of another accumulator.
    fn merge(&self, accumulator: &mut Self::Accumulator, other: &Self::Accumulator);

    /// The result so far.
    fn result(&self, accumulator: &Self::Accumulator) -> Self::Out;
}

/// Counts records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count;

impl<T> Aggregate<T> for Count {
    type Accumulator = u64;
    type Out = u64;

    fn create(&self) -> u64 {
        0
    }

    fn add(&self, count: &mut u64, _record: &T) {
        *count += 1;
    }

    fn merge(&self, count: &mut u64, other: &u64) {
        *count += other;
    }

    fn result(&self, count: &u64) -> u64 {
        *count
    }
}

/// Adds up what a function gives for each record.
#[derive(Clone, Copy, Debug)]
pub struct Sum<F>(pub F);

impl<T, N, F> Aggregate<T> for Sum<F>
where
    F: Fn(&T) -> N + Clone + Send + 'static,
    N: AddAssign + Default + Clone + Serialize + DeserializeOwned + Send + 'static,
{
    type Accumulator = N;
    type Out = N;

    fn create(&self) -> N {
        N::default()
    }

    fn add(&self, sum: &mut N, record: &T) {
        *sum += (self.0)(record);
    }

    fn merge(&self, sum: &mut N, other: &N) {
        *sum += other.clone();
    }

    fn result(&self, sum: &N) -> N {
        sum.clone()
    }
}

/// An accumulator with functions to add a record and to merge another one; it is its own result.
#[derive(Clone, Copy, Debug)]
pub struct Fold<A, F, M> {
    /// An accumulator of no record.
    pub empty: A,
    /// Adds a record.
    pub add: F,
    /// Adds the records of another accumulator.
    pub merge: M,
}

impl<T, A, F, M> Aggregate<T> for Fold<A, F, M>
where
    A: Clone + Serialize + DeserializeOwned + Send + 'static,
    F: Fn(&mut A, &T) + Clone + Send + 'static,
    M: Fn(&mut A, &A) + Clone + Send + 'static,
{
    type Accumulator = A;
    type Out = A;

    fn create(&self) -> A {
        self.empty.clone()
    }

    fn add(&self, accumulator: &mut A, record: &T) {
        (self.add)(accumulator, record);
    }

    fn merge(&self, accumulator: &mut A, other: &A) {
        (self.merge)(accumulator, other);
    }

    fn result(&self, accumulator: &A) -> A {
        accumulator.clone()
    }
}

/// Merges records into one; without a record there is none.
#[derive(Clone, Copy, Debug)]
pub struct Reduce<F>(pub F);

impl<T, F> Aggregate<T> for Reduce<F>
where
    T: Clone + Serialize + DeserializeOwned + Send + 'static,
    F: Fn(&mut T, T) + Clone + Send + 'static,
{
    type Accumulator = Option<T>;
    type Out = Option<T>;

    fn create(&self) -> Option<T> {
        None
    }

    fn add(&self, reduced: &mut Option<T>, record: &T) {
        self.add_owned(reduced, record.clone());
    }

    fn add_owned(&self, reduced: &mut Option<T>, record: T) {
        match reduced {
            Some(reduced) => (self.0)(reduced, record),
            None => *reduced = Some(record),
        }
    }

    fn merge(&self, reduced: &mut Option<T>, other: &Option<T>) {
        if let Some(other) = other {
            self.add(reduced, other);
        }
    }

    fn result(&self, reduced: &Option<T>) -> Option<T> {
        reduced.clone()
    }
}

macro_rules! aggregates_together {
    ($($part:ident.$index:tt)*) => {
        /// Several results of the same records.
        impl<T, $($part: Aggregate<T>),*> Aggregate<T> for ($($part,)*) {
            type Accumulator = ($($part::Accumulator,)*);
            type Out = ($($part::Out,)*);

            fn create(&self) -> Self::Accumulator {
                ($(self.$index.create(),)*)
            }

            fn add(&self, accumulator: &mut Self::Accumulator, record: &T) {
                $(self.$index.add(&mut accumulator.$index, record);)*
            }

            fn merge(&self, accumulator: &mut Self::Accumulator, other: &Self::Accumulator) {
                $(self.$index.merge(&mut accumulator.$index, &other.$index);)*
            }

            fn result(&self, accumulator: &Self::Accumulator) -> Self::Out {
                ($(self.$index.result(&accumulator.$index),)*)
            }
        }
    };
}

aggregates_together!(A.0 B.1);
aggregates_together!(A.0 B.1 C.2);
aggregates_together!(A.0 B.1 C.2 D.3);

/// Emits a key's result at each of its records.
pub struct Aggregating<K, T, F, A: Aggregate<T>> {
    key: F,
    aggregate: A,
    table: Table<K, A::Accumulator>,
}

impl<K: Key, T, F, A: Aggregate<T>> Aggregating<K, T, F, A> {
    /// Aggregates records by the key that `key` gives.
    pub fn new(key: F, aggregate: A) -> Self {
        Self { key, aggregate, table: Table::new(None) }
    }
}

impl<K, T, F, A> KeyedOperator<T> for Aggregating<K, T, F, A>
where
    K: Key,
    T: Send + 'static,
    F: FnMut(&T) -> K + Send + 'static,
    A: Aggregate<T>,
{
    type Out = (K, A::Out);

    fn batch(&mut self, batch: Batch<T>, turn: &mut Turn<'_, Self::Out>) -> Result<()> {
        let Self { key, aggregate, table } = self;
        let Turn { out, stage, now, .. } = turn;
        let make = || aggregate.create();
        if batch.metas.is_empty() {
            stage.current = Meta::NONE;
            let out = out.plain(batch.len());
            return table.update_each(
                *now,
                batch.items.iter(),
                |item| key(item),
                make,
                |item, key, known| {
                    aggregate.add(known, item);
                    out.push((key, aggregate.result(known)));
                },
            );
        }
        let key = |(item, meta): &(T, Meta)| {
            stage.current = *meta;
            key(item)
        };
        table.update_each(*now, batch.into_records(), key, make, |(item, meta), key, known| {
            aggregate.add(known, &item);
            out.push((key, aggregate.result(known)), meta);
        })
    }

    fn watermark(&mut self, _turn: &mut Turn<'_, Self::Out>) -> Result<()> {
        Ok(())
    }

    fn next_timer(&self) -> Option<Timestamp> {
        None
    }

    fn processing_time(&mut self, _turn: &mut Turn<'_, Self::Out>) -> Result<()> {
        Ok(())
    }

    fn open(&mut self, backend: &Backend) -> Result<()> {
        self.table = backend.table(RESULTS, None)?;
        Ok(())
    }

    fn snapshot(&mut self, writer: &mut SnapshotWriter) -> Result<()> {
        self.table.snapshot(RESULTS, writer)
    }

    fn restore(&mut self, reader: &SnapshotReader<'_>, now: Timestamp) -> Result<()> {
        self.table.restore(RESULTS, reader, now)
    }
}

/// Merges each record into the one of its key, and emits that.
pub struct Reducing<K, T, F, R> {
    key: F,
    reduce: R,
    table: Table<K, T>,
    types: PhantomData<fn(T)>,
}

impl<K: Key, T: Kept, F, R> Reducing<K, T, F, R> {
    /// Reduces records by the key that `key` gives.
    pub fn new(key: F, reduce: R) -> Self {
        Self { key, reduce, table: Table::new(None), types: PhantomData }
    }
}

impl<K, T, F, R> KeyedOperator<T> for Reducing<K, T, F, R>
where
    K: Key,
    T: Clone + Kept,
    F: FnMut(&T) -> K + Send + 'static,
    R: FnMut(&mut T, T) + Send + 'static,
{
    type Out = T;

    fn batch(&mut self, batch: Batch<T>, turn: &mut Turn<'_, T>) -> Result<()> {
        let Self { key, reduce, table, .. } = self;
        for (item, meta) in batch.into_records() {
            turn.stage.current = meta;
            let key = key(&item);
            let reduced = match table.get_mut(&key, turn.now)? {
                Some(known) => {
                    reduce(known, item);
                    known.clone()
                }
                None => {
                    table.insert(&key, item.clone(), turn.now)?;
                    item
                }
            };
            turn.out.push(reduced, meta);
        }
        Ok(())
    }

    fn watermark(&mut self, _turn: &mut Turn<'_, T>) -> Result<()> {
        Ok(())
    }

    fn next_timer(&self) -> Option<Timestamp> {
        None
    }

    fn processing_time(&mut self, _turn: &mut Turn<'_, T>) -> Result<()> {
        Ok(())
    }

    fn open(&mut self, backend: &Backend) -> Result<()> {
        self.table = backend.table(RESULTS, None)?;
        Ok(())
    }

    fn snapshot(&mut self, writer: &mut SnapshotWriter) -> Result<()> {
        self.table.snapshot(RESULTS, writer)
    }

    fn restore(&mut self, reader: &SnapshotReader<'_>, now: Timestamp) -> Result<()> {
        self.table.restore(RESULTS, reader, now)
    }
}
