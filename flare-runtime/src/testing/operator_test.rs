//! One keyed operator without a job.

use std::marker::PhantomData;
use std::time::Duration;

use super::operator_streams::OneStream;
use crate::error::Result;
use crate::model::{Key, KeyGroups, Reject, Timestamp};
use crate::operators::keyed::{Bench, KeyedOperator};
use crate::state::Kept;

/// The operator's id in its savepoints.
pub(super) const OPERATOR: &str = "operator";

/// Runs one keyed operator without a job: a record goes in, and what comes out is seen at once.
///
/// ```
/// # use flare_runtime::{error::Result, model::Timestamp, state::{Declare, ValueState}};
/// # use flare_runtime::operators::keyed::{Context, Process, Timer};
/// use flare_runtime::testing::OperatorTest;
///
/// /// Counts the records of a key, and tells the count every ten seconds of event time.
/// #[derive(Clone, Default)]
/// struct Counting(ValueState<u64>);
///
/// impl Process<u32, u32> for Counting {
///     type Out = (u32, u64);
///
///     fn open(&mut self, states: &mut Declare<'_, u32>) -> Result<()> {
///         self.0 = states.value("count")?;
///         Ok(())
///     }
///
///     fn process(&mut self, _: &u32, cx: &mut Context<'_, u32, (u32, u64)>) -> Result<()> {
///         let at = cx.timestamp().unwrap_or(Timestamp::MIN).as_millis();
///         cx.set_timer(Timestamp::from_millis(at / 10_000 * 10_000 + 10_000));
///         self.0.update(cx, |count| *count += 1)
///     }
///
///     fn on_timer(&mut self, _: Timer, cx: &mut Context<'_, u32, (u32, u64)>) -> Result<()> {
///         let count = self.0.take(cx)?.unwrap_or(0);
///         let key = *cx.key();
///         cx.emit((key, count));
///         Ok(())
///     }
/// }
///
/// let at = Timestamp::from_millis;
/// let mut test = OperatorTest::process(|n: &u32| *n, Counting::default())?;
/// test.record_at(at(1000), 7);
/// test.record_at(at(2000), 7);
/// assert_eq!(test.state::<u64>("count", &7), Some(2));
/// assert_eq!(test.timers(), [(at(10_000), 7)]);
///
/// test.restart(); // what it remembers goes through bytes into a fresh operator
/// test.watermark(at(10_000));
/// assert_eq!(test.take(), [(7, 2)]);
/// # Ok::<_, flare_runtime::error::Error>(())
/// ```
///
/// Time stands still but for the calls that move it: event time by [`OperatorTest::watermark`], processing time, which
/// begins at 2026-01-01T00:00:00Z, by [`OperatorTest::advance_processing_time_to`]. Where several subtasks share the
/// operator's keys, see [`OperatorTest::restart_with`].
///
/// A record that the operator turns aside is in [`OperatorTest::rejected`]; any other error, and a panic, makes the call
/// panic.
pub struct OperatorTest<K, T: 'static, U: Send + 'static, S = OneStream> {
    pub(super) make: Box<dyn Fn() -> Result<Box<Operator<T, U>>>>,
    pub(super) key: Box<dyn FnMut(&T) -> K>,
    pub(super) groups: KeyGroups,
    pub(super) subtasks: Vec<Bench<T, Operator<T, U>>>,
    pub(super) watermark: Timestamp,
    pub(super) now: Timestamp,
    out: Vec<(U, Option<Timestamp>)>,
    rejected: Vec<Rejected>,
    streams: PhantomData<S>,
}

/// An operator of any type.
pub(super) type Operator<T, U> = dyn KeyedOperator<T, Out = U>;

/// A record that an operator under test has turned aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The record as JSON.
    pub record: String,
    /// The error and its causes, outermost first.
    pub causes: Vec<String>,
}

impl From<Reject> for Rejected {
    fn from(reject: Reject) -> Self {
        let record = String::from_utf8_lossy(&reject.raw).into_owned();
        Self { record, causes: reject.error.chain() }
    }
}

impl<K: Key, T: 'static, U: Send + 'static, S> OperatorTest<K, T, U, S> {
    pub(super) fn new(
        key: impl FnMut(&T) -> K + 'static,
        make: impl Fn() -> Result<Box<Operator<T, U>>> + 'static,
    ) -> Result<Self> {
        let subtasks = vec![Bench::of(make()?, 0, Timestamp::MIN)];
        Ok(Self {
            make: Box::new(make),
            key: Box::new(key),
            groups: KeyGroups { count: 128 },
            subtasks,
            watermark: Timestamp::MIN,
            now: Timestamp::from_millis(1_767_225_600_000),
            out: Vec::new(),
            rejected: Vec::new(),
            streams: PhantomData,
        })
    }

    /// Gives a record to the subtask of its key.
    #[track_caller]
    pub(super) fn give(&mut self, record: T, at: Timestamp) {
        let group = self.groups.of(&(self.key)(&record));
        self.give_to(self.groups.subtask(group, self.subtasks.len()), record, at);
    }

    #[track_caller]
    pub(super) fn give_to(&mut self, subtask: usize, record: T, at: Timestamp) {
        self.turn(subtask, |bench| bench.give(record, at));
        self.fire_due();
    }

    /// Lets a subtask work, and collects what it gives.
    #[track_caller]
    fn turn(&mut self, subtask: usize, work: impl FnOnce(&mut Bench<T, Operator<T, U>>) -> Result<()>) {
        let bench = &mut self.subtasks[subtask];
        bench.now = self.now;
        let worked = work(bench);
        let timed = |(record, at)| (record, Some(at).filter(|at| *at != Timestamp::MIN));
        self.out.extend(bench.emitted().map(timed));
        self.rejected.extend(bench.rejects().into_iter().map(Rejected::from));
        expect(worked);
    }

    /// Fires what is due in processing time.
    #[track_caller]
    fn fire_due(&mut self) {
        for subtask in 0..self.subtasks.len() {
            while self.subtasks[subtask].operator.next_timer().is_some_and(|at| at <= self.now) {
                self.turn(subtask, Bench::fire);
            }
        }
    }

    /// Lets event time come to `at`: timers until then fire. One that is not later than the last is ignored, as in a
    /// job.
    #[track_caller]
    pub fn watermark(&mut self, at: Timestamp) {
        if at <= self.watermark {
            return;
        }
        self.watermark = at;
        (0..self.subtasks.len()).for_each(|subtask| self.turn(subtask, |bench| bench.pass(at)));
        self.fire_due();
    }

    /// Processing time.
    pub fn processing_time(&self) -> Timestamp {
        self.now
    }

    /// Lets processing time come to `at`: timers until then fire, each at its moment. It never goes back.
    #[track_caller]
    pub fn advance_processing_time_to(&mut self, at: Timestamp) {
        let next = |test: &Self| test.subtasks.iter().filter_map(|bench| bench.operator.next_timer()).min();
        while let Some(due) = next(self).filter(|due| *due <= at) {
            self.now = self.now.max(due);
            self.fire_due();
        }
        self.now = self.now.max(at);
    }

    /// As [`OperatorTest::advance_processing_time_to`], by a time.
    #[track_caller]
    pub fn advance_processing_time_by(&mut self, time: Duration) {
        self.advance_processing_time_to(self.now.saturating_add(time));
    }

    /// Takes out what was emitted since, in its order.
    pub fn take(&mut self) -> Vec<U> {
        self.take_timed().into_iter().map(|(record, _)| record).collect()
    }

    /// As [`OperatorTest::take`], with the event times, which not every record has.
    pub fn take_timed(&mut self) -> Vec<(U, Option<Timestamp>)> {
        std::mem::take(&mut self.out)
    }

    /// The records that were turned aside so far.
    pub fn rejected(&self) -> &[Rejected] {
        &self.rejected
    }

    /// What is remembered for a key, by the name of the state: the value of a value state, a `Vec` of a list state, a
    /// `BTreeMap` of a map state. What has outlived its TTL may be seen until the operator looks at it.
    #[track_caller]
    pub fn state<V: Kept>(&mut self, name: &str, key: &K) -> Option<V> {
        expect(self.savepoint().value(OPERATOR, name, key))
    }

    /// What is remembered of all keys, in their order.
    #[track_caller]
    pub fn entries<V: Kept>(&mut self, name: &str) -> Vec<(K, V)> {
        expect(self.savepoint().entries(OPERATOR, name))
    }

    /// The timers of event time that are set, by time and key.
    #[track_caller]
    pub fn timers(&mut self) -> Vec<(Timestamp, K)> {
        expect(self.savepoint().timers(OPERATOR))
    }

    /// The timers of processing time that are set, by time and key.
    #[track_caller]
    pub fn processing_timers(&mut self) -> Vec<(Timestamp, K)> {
        expect(self.savepoint().processing_timers(OPERATOR))
    }
}

#[track_caller]
pub(super) fn expect<R>(result: Result<R>) -> R {
    match result {
        Ok(result) => result,
        Err(error) => panic!("the operator has failed: {}", error.report()),
    }
}
