//! Records with the version that was valid at their event time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{JOINED, event_time, joined_at};
use crate::api::Counter;
use crate::error::Result;
use crate::model::{Batch, Either, Key, Timestamp};
use crate::operators::keyed::{KeyedOperator, Turn};
use crate::state::{Backend, Kept, SnapshotReader, SnapshotWriter, Table, Timers};

/// What is known of a key.
#[derive(Serialize, Deserialize)]
struct Known<A, V> {
    /// Records whose version may still come.
    waiting: BTreeMap<Timestamp, Vec<A>>,
    /// By the moment from which each is valid.
    versions: BTreeMap<Timestamp, V>,
}

impl<A, V> Default for Known<A, V> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), versions: BTreeMap::new() }
    }
}

/// Joins each record with the newest version that is not younger, once the watermark has passed it.
pub struct TemporalJoin<K, A, V, F, J> {
    key: F,
    join: J,
    late: Counter,
    known: Table<K, Known<A, V>>,
    /// When records of a key are joined, or one of its versions replaces those before it.
    due: Timers<K>,
}

impl<K: Key, A: Kept, V: Kept, F, J> TemporalJoin<K, A, V, F, J> {
    /// Joins by the key that `key` gives; `late` counts records that came too late.
    pub fn new(key: F, join: J, late: Counter) -> Self {
        Self { key, join, late, known: Table::new(None), due: Timers::default() }
    }

    /// Joins what waited until now, and forgets the versions that are valid no more.
    fn fire<U>(&mut self, turn: &mut Turn<'_, U>) -> Result<()>
    where
        J: FnMut(A, Option<&V>) -> U,
    {
        while let Some((at, key)) = self.due.take_due(turn.watermark) {
            let Some(known) = self.known.get_mut(&key, turn.now)? else { continue };
            let valid = known.versions.range(..=at).next_back();
            turn.stage.current = joined_at(at);
            for record in known.waiting.remove(&at).into_iter().flatten() {
                turn.out.push((self.join)(record, valid.map(|(_, version)| version)), joined_at(at));
            }
            if let Some(since) = valid.map(|(since, _)| *since) {
                known.versions = known.versions.split_off(&since);
            }
            if known.waiting.is_empty() && known.versions.is_empty() {
                self.known.remove(&key, turn.now)?;
            }
        }
        Ok(())
    }
}

impl<K, A, V, U, F, J> KeyedOperator<Either<A, V>> for TemporalJoin<K, A, V, F, J>
where
    K: Key,
    A: Kept,
    V: Kept,
    F: FnMut(&Either<A, V>) -> K + Send + 'static,
    J: FnMut(A, Option<&V>) -> U + Send + 'static,
    U: Send + 'static,
{
    type Out = U;

    fn batch(&mut self, batch: Batch<Either<A, V>>, turn: &mut Turn<'_, U>) -> Result<()> {
        for (item, meta) in batch.into_records() {
            turn.stage.current = meta;
            let time = event_time(meta, turn)?;
            if matches!(item, Either::Left(_)) && time <= turn.watermark {
                self.late.add(1);
                continue;
            }
            let key = (self.key)(&item);
            let known = self.known.get_or_insert_with(&key, turn.now, Known::default)?;
            match item {
                Either::Left(record) => {
                    known.waiting.entry(time).or_default().push(record);
                    self.due.set(time, &key);
                }
                Either::Right(version) => {
                    known.versions.insert(time, version);
                    // Alone it replaces none.
                    if known.versions.len() == 2 {
                        known.versions.keys().for_each(|since| self.due.set(*since, &key));
                    } else if known.versions.len() > 2 {
                        self.due.set(time.max(turn.watermark), &key);
                    }
                }
            }
        }
        // A version that came late may be replaced already.
        self.fire(turn)
    }

    fn watermark(&mut self, turn: &mut Turn<'_, U>) -> Result<()> {
        self.fire(turn)
    }

    fn next_timer(&self) -> Option<Timestamp> {
        None
    }

    fn processing_time(&mut self, _turn: &mut Turn<'_, U>) -> Result<()> {
        Ok(())
    }

    fn open(&mut self, backend: &Backend) -> Result<()> {
        self.known = backend.table(JOINED, None)?;
        Ok(())
    }

    fn snapshot(&mut self, writer: &mut SnapshotWriter) -> Result<()> {
        self.known.snapshot(JOINED, writer)
    }

    fn restore(&mut self, reader: &SnapshotReader<'_>, now: Timestamp) -> Result<()> {
        let Self { known, due, .. } = self;
        reader.table(JOINED, |key: K, _, own: Known<A, V>| {
            own.waiting.keys().for_each(|at| due.set(*at, &key));
            if own.versions.len() > 1 {
                own.versions.keys().for_each(|since| due.set(*since, &key));
            }
            known.insert(&key, own, now)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::keyed::testing::Bench;

    type Record = Either<u8, (u8, char)>;
    type Join =
        TemporalJoin<u8, u8, (u8, char), fn(&Record) -> u8, fn(u8, Option<&(u8, char)>) -> Option<char>>;

    fn bench() -> Bench<Record, Join> {
        let key: fn(&Record) -> u8 = |record| match record {
            Either::Left(key) | Either::Right((key, _)) => *key,
        };
        Bench::new(Join::new(key, |_, version| version.map(|version| version.1), Counter::default()))
    }

    fn versions(bench: &mut Bench<Record, Join>, key: u8) -> Vec<char> {
        let known = bench.operator.known.get(&key, Timestamp::MIN).expect("memory");
        known.map(|known| known.versions.values().map(|version| version.1).collect()).unwrap_or_default()
    }

    #[test]
    fn waits_for_the_version_and_forgets_those_before_it() {
        let mut bench = bench();
        for (version, time) in [('b', 20), ('c', 30), ('a', 10)] {
            bench.record(Either::Right((1, version)), time);
        }
        for time in [25, 5, 20] {
            bench.record(Either::Left(1), time);
        }
        assert_eq!(bench.take(), []);
        bench.watermark(24);
        assert_eq!(bench.take(), [(None, 5), (Some('b'), 20)]);
        assert_eq!(versions(&mut bench, 1), ['b', 'c']);
        bench.watermark(35);
        assert_eq!(bench.take(), [(Some('b'), 25)]);
        assert_eq!(versions(&mut bench, 1), ['c']);
        assert_eq!(bench.operator.due.next(), None);
    }

    #[test]
    fn keeps_nothing_of_a_key_without_versions() {
        let mut bench = bench();
        bench.record(Either::Left(1), 5);
        bench.watermark(5);
        assert_eq!(bench.take(), [(None, 5)]);
        assert!(bench.operator.known.is_empty());
    }

    #[test]
    fn a_late_record_is_dropped_and_a_late_version_is_valid_from_then_on() {
        let mut bench = bench();
        bench.record(Either::Right((1, 'a')), 10);
        bench.record(Either::Right((1, 'c')), 40);
        bench.watermark(30);
        bench.record(Either::Left(1), 30);
        assert_eq!(bench.operator.late.get(), 1);
        bench.record(Either::Right((1, 'b')), 20);
        bench.record(Either::Right((1, 'z')), 5);
        assert_eq!(versions(&mut bench, 1), ['b', 'c']);
        bench.record(Either::Left(1), 35);
        bench.watermark(35);
        assert_eq!(bench.take(), [(Some('b'), 35)]);
    }
}
