//! Collects what a sink would have written, and compares it.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use similar::{ChangeTag, TextDiff};

use super::faults::Faults;
use crate::error::{Error, ErrorKind};
use crate::operators::Take;

/// The records that reached a sink, in the order of their arrival. A clone is the same sink.
///
/// After a crash it forgets what came behind the last completed checkpoint, as a sink does that is exactly once: the job
/// gives it again. [`TestSink::at_least_once`] keeps it.
pub struct TestSink<T>(Arc<Mutex<Taken<T>>>);

struct Taken<T> {
    /// Each with the number of the barrier before it.
    records: Vec<(u64, T)>,
    at_least_once: bool,
    /// What happens at the record of that number, from 0, instead of taking it.
    failures: BTreeMap<usize, (ErrorKind, String)>,
    seen: usize,
}

impl<T> Default for TestSink<T> {
    fn default() -> Self {
        let taken = Taken { records: Vec::new(), at_least_once: false, failures: BTreeMap::new(), seen: 0 };
        Self(Arc::new(Mutex::new(taken)))
    }
}

impl<T> Clone for TestSink<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Send + 'static> TestSink<T> {
    fn taken(&self) -> MutexGuard<'_, Taken<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn taker(&self, faults: Faults) -> Take<T> {
        let sink = self.clone();
        Arc::new(move |record, barrier| {
            if let Err(crash) = faults.taken() {
                return Err(Box::new((record, crash)));
            }
            let mut taken = sink.taken();
            let number = taken.seen;
            taken.seen += 1;
            if let Some((kind, message)) = taken.failures.remove(&number) {
                return Err(Box::new((record, Error::new(kind, message))));
            }
            taken.records.push((barrier, record));
            Ok(())
        })
    }

    /// Forgets what came behind the barrier of this number, unless it keeps all.
    pub(super) fn roll_back(&self, barrier: u64) {
        let mut taken = self.taken();
        if !taken.at_least_once {
            taken.records.retain(|(before, _)| *before < barrier);
        }
    }

    /// Keeps, after a crash, what came behind the last completed checkpoint, so that it is there twice.
    pub fn at_least_once(&self) {
        self.taken().at_least_once = true;
    }

    /// Has the sink refuse record number `number`, from 0: `BadRecord` turns that record aside, any other kind fails
    /// the job.
    pub fn fails_at(&self, number: usize, kind: ErrorKind, message: &str) {
        self.taken().failures.insert(number, (kind, message.to_owned()));
    }

    /// Takes the records out, so that what comes then is seen alone.
    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.taken().records).into_iter().map(|(_, record)| record).collect()
    }
}

impl<T: Clone + Send + 'static> TestSink<T> {
    /// The records so far.
    pub fn records(&self) -> Vec<T> {
        self.taken().records.iter().map(|(_, record)| record.clone()).collect()
    }
}

impl<T: Clone + Debug + PartialEq + Send + 'static> TestSink<T> {
    /// Asserts that exactly these records came, in this order.
    ///
    /// # Panics
    /// With a readable difference, when they did not.
    #[track_caller]
    pub fn assert_eq(&self, expected: impl IntoIterator<Item = T>) {
        let (expected, records) = (expected.into_iter().collect::<Vec<_>>(), self.records());
        assert!(expected == records, "the sink's records differ:\n{}", difference(&expected, &records));
    }

    /// Asserts that exactly these records came, in any order.
    ///
    /// # Panics
    /// With what is missing and what was not expected.
    #[track_caller]
    pub fn assert_unordered(&self, expected: impl IntoIterator<Item = T>) {
        let mut missing: Vec<T> = expected.into_iter().collect();
        let mut surplus = Vec::new();
        for record in self.records() {
            match missing.iter().position(|wanted| *wanted == record) {
                Some(index) => drop(missing.swap_remove(index)),
                None => surplus.push(record),
            }
        }
        let shown = |sign: char, records: &[T]| {
            records.iter().fold(String::new(), |mut text, record| {
                let _ = writeln!(text, "{sign} {record:?}");
                text
            })
        };
        let is_same = missing.is_empty() && surplus.is_empty();
        let (missing, surplus) = (shown('-', &missing), shown('+', &surplus));
        assert!(is_same, "the sink's records differ; - is missing, + was not expected:\n{missing}{surplus}");
    }

    /// Asserts that for each key exactly these records came, those of one key in this order.
    ///
    /// # Panics
    /// With a readable difference of the first key whose records differ.
    #[track_caller]
    pub fn assert_by_key<K: Ord + Debug>(
        &self,
        key: impl Fn(&T) -> K,
        expected: impl IntoIterator<Item = T>,
    ) {
        let by_key = |records: Vec<T>| {
            let mut by_key: BTreeMap<K, Vec<T>> = BTreeMap::new();
            records.into_iter().for_each(|record| by_key.entry(key(&record)).or_default().push(record));
            by_key
        };
        let (expected, mut records) = (by_key(expected.into_iter().collect()), by_key(self.records()));
        for (key, expected) in expected {
            let own = records.remove(&key).unwrap_or_default();
            assert!(expected == own, "the records of {key:?} differ:\n{}", difference(&expected, &own));
        }
        assert!(records.is_empty(), "records of further keys came: {:?}", records.keys());
    }
}

/// What has to change in `expected` to be `found`: lines with - are missing, lines with + were not expected.
fn difference<T: Debug>(expected: &[T], found: &[T]) -> String {
    let lines = |records: &[T]| {
        records.iter().fold(String::new(), |mut text, record| {
            let _ = writeln!(text, "{record:?}");
            text
        })
    };
    let (expected, found) = (lines(expected), lines(found));
    let diff = TextDiff::from_lines(&expected, &found);
    diff.iter_all_changes().fold(String::new(), |mut text, change| {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => ' ',
        };
        let _ = write!(text, "{sign} {change}");
        text
    })
}
