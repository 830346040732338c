//! Which streams an operator under test reads, and how a test gives their records.

use std::collections::BTreeMap;

use serde::Serialize;

use super::operator_test::{OPERATOR, Operator, OperatorTest, expect};
use crate::error::Result;
use crate::model::{Either, Key, Timestamp};
use crate::operators::keyed::{
    BothSides, BroadcastOperator, BroadcastProcess, CoProcess, Process, ProcessOperator, SHARED,
};
use crate::state::Kept;

/// The operator under test is a [`Process`].
pub enum OneStream {}

/// The operator under test is a [`CoProcess`].
pub enum TwoStreams {}

/// The operator under test is a [`BroadcastProcess`].
pub enum WithControl {}

impl<K, T, U> OperatorTest<K, T, U, OneStream>
where
    K: Key,
    T: Serialize + Send + 'static,
    U: Send + 'static,
{
    /// A test of an operator over records with the key that `key` gives.
    ///
    /// # Errors
    /// What [`Process::open`] returns.
    pub fn process<F, P>(key: F, process: P) -> Result<Self>
    where
        F: FnMut(&T) -> K + Clone + Send + 'static,
        P: Process<K, T, Out = U>,
    {
        let make = {
            let key = key.clone();
            move || {
                let operator = ProcessOperator::new(key.clone(), process.clone())?;
                Ok(Box::new(operator) as Box<Operator<T, U>>)
            }
        };
        Self::new(key, make)
    }

    /// Gives a record without event time.
    #[track_caller]
    pub fn record(&mut self, record: T) {
        self.give(record, Timestamp::MIN);
    }

    /// Gives a record with its event time.
    #[track_caller]
    pub fn record_at(&mut self, at: Timestamp, record: T) {
        self.give(record, at);
    }
}

impl<K, A, B, U> OperatorTest<K, Either<A, B>, U, TwoStreams>
where
    K: Key,
    A: Serialize + Send + 'static,
    B: Serialize + Send + 'static,
    U: Send + 'static,
{
    /// A test of an operator over two streams, whose records have the keys that `left` and `right` give.
    ///
    /// # Errors
    /// What [`CoProcess::open`] returns.
    pub fn co_process<F, G, P>(mut left: F, mut right: G, process: P) -> Result<Self>
    where
        F: FnMut(&A) -> K + Clone + Send + 'static,
        G: FnMut(&B) -> K + Clone + Send + 'static,
        P: CoProcess<K, A, B, Out = U>,
    {
        let key = move |record: &Either<A, B>| match record {
            Either::Left(record) => left(record),
            Either::Right(record) => right(record),
        };
        let make = {
            let key = key.clone();
            move || {
                let operator = ProcessOperator::new(key.clone(), BothSides(process.clone()))?;
                Ok(Box::new(operator) as Box<Operator<Either<A, B>, U>>)
            }
        };
        Self::new(key, make)
    }

    /// Gives a record of the left stream without event time.
    #[track_caller]
    pub fn left(&mut self, record: A) {
        self.left_at(Timestamp::MIN, record);
    }

    /// Gives a record of the left stream with its event time.
    #[track_caller]
    pub fn left_at(&mut self, at: Timestamp, record: A) {
        self.give(Either::Left(record), at);
    }

    /// Gives a record of the right stream without event time.
    #[track_caller]
    pub fn right(&mut self, record: B) {
        self.right_at(Timestamp::MIN, record);
    }

    /// Gives a record of the right stream with its event time.
    #[track_caller]
    pub fn right_at(&mut self, at: Timestamp, record: B) {
        self.give(Either::Right(record), at);
    }
}

impl<K, T, C, U> OperatorTest<K, Either<T, C>, U, WithControl>
where
    K: Key,
    T: Serialize + Send + 'static,
    C: Serialize + Clone + Send + 'static,
    U: Send + 'static,
{
    /// A test of an operator over records with the key that `key` gives, and a control stream.
    ///
    /// # Errors
    /// What [`BroadcastProcess::open`] returns.
    pub fn broadcast_process<F, P>(mut key: F, process: P) -> Result<Self>
    where
        F: FnMut(&T) -> K + Clone + Send + 'static,
        P: BroadcastProcess<K, T, C, Out = U>,
    {
        let make = {
            let key = key.clone();
            move || {
                let operator = BroadcastOperator::new(key.clone(), process.clone())?;
                Ok(Box::new(operator) as Box<Operator<Either<T, C>, U>>)
            }
        };
        let key_of = move |record: &Either<T, C>| match record {
            Either::Left(record) => key(record),
            Either::Right(_) => unreachable!("control records come to every subtask"),
        };
        Self::new(key_of, make)
    }

    /// Gives a keyed record without event time.
    #[track_caller]
    pub fn record(&mut self, record: T) {
        self.record_at(Timestamp::MIN, record);
    }

    /// Gives a keyed record with its event time.
    #[track_caller]
    pub fn record_at(&mut self, at: Timestamp, record: T) {
        self.give(Either::Left(record), at);
    }

    /// Gives a control record to every subtask.
    #[track_caller]
    pub fn control(&mut self, control: C) {
        for subtask in 0..self.subtasks.len() {
            self.give_to(subtask, Either::Right(control.clone()), Timestamp::MIN);
        }
    }

    /// The map that the control records made, which is the same in every subtask.
    #[track_caller]
    pub fn shared<N: Ord + Kept, V: Kept>(&mut self) -> BTreeMap<N, V> {
        let maps = expect(self.savepoint().own(OPERATOR, SHARED));
        maps.into_iter().next().unwrap_or_default()
    }
}
