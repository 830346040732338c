//! Pairs of records whose event times lie within bounds of each other.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{JOINED, event_time, joined_at};
use crate::api::Counter;
use crate::error::Result;
use crate::model::{Batch, Either, Key, Timestamp};
use crate::operators::keyed::{KeyedOperator, Turn};
use crate::state::{Backend, Kept, SnapshotReader, SnapshotWriter, Table, Timers};

/// A moment by its distance from another one, in whole milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelativeTime {
    /// So much earlier.
    Before(Duration),
    /// So much later.
    After(Duration),
}

impl RelativeTime {
    /// In milliseconds, negative for earlier.
    pub fn as_millis(self) -> i64 {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        match self {
            Self::Before(duration) => -millis(duration),
            Self::After(duration) => millis(duration),
        }
    }
}

/// The records of one side by event time.
type Side<T> = BTreeMap<i64, Vec<T>>;

/// The records of a key that may still find a partner.
#[derive(Serialize, Deserialize)]
struct Open<A, B> {
    left: Side<A>,
    right: Side<B>,
    /// When the first of them can find none any more; there is a timer.
    next: Timestamp,
}

impl<A, B> Default for Open<A, B> {
    fn default() -> Self {
        Self { left: Side::new(), right: Side::new(), next: Timestamp::MAX }
    }
}

/// Joins every two records of a key with `left + lower <= right <= left + upper`, when the second of them comes.
pub struct IntervalJoin<K, A, B, F, J> {
    key: F,
    join: J,
    /// In milliseconds.
    bounds: RangeInclusive<i64>,
    late: Counter,
    open: Table<K, Open<A, B>>,
    ends: Timers<K>,
}

impl<K: Key, A: Kept, B: Kept, F, J> IntervalJoin<K, A, B, F, J> {
    /// Joins by the key that `key` gives, within bounds in milliseconds; `late` counts records that came too late.
    pub fn new(key: F, join: J, bounds: RangeInclusive<i64>, late: Counter) -> Self {
        Self { key, join, bounds, late, open: Table::new(None), ends: Timers::default() }
    }

    /// Forgets what can find no partner any more.
    fn forget(&mut self, watermark: Timestamp, now: Timestamp) -> Result<()> {
        while let Some((_, key)) = self.ends.take_due(watermark) {
            let Some(open) = self.open.get_mut(&key, now)? else { continue };
            let left = forget(&mut open.left, *self.bounds.end(), watermark);
            let right = forget(&mut open.right, self.bounds.start().saturating_neg(), watermark);
            match left.into_iter().chain(right).min() {
                Some(next) => {
                    open.next = next;
                    self.ends.set(next, &key);
                }
                None => drop(self.open.remove(&key, now)?),
            }
        }
        Ok(())
    }
}

/// Forgets what finds no partner `reach` after its own time; says when the next one does not.
fn forget<T>(side: &mut Side<T>, reach: i64, watermark: Timestamp) -> Option<Timestamp> {
    let end = |time: i64| Timestamp::from_millis(time.saturating_add(reach));
    while let Some(first) = side.first_entry() {
        if end(*first.key()) > watermark {
            return Some(end(*first.key()));
        }
        first.remove();
    }
    None
}

/// The records within two moments, with their own.
fn within<T>(side: &Side<T>, from: i64, to: i64) -> impl Iterator<Item = (i64, &T)> {
    side.range(from..=to).flat_map(|(time, records)| records.iter().map(|record| (*time, record)))
}

impl<K: Key, A: Kept, B: Kept, F, J> IntervalJoin<K, A, B, F, J> {
    /// Joins a record with the partners that are there, and remembers it for those that come.
    fn meet<U>(
        &mut self,
        key: &K,
        timestamp: Timestamp,
        item: Either<A, B>,
        turn: &mut Turn<'_, U>,
    ) -> Result<()>
    where
        J: FnMut(&A, &B) -> U,
    {
        let (lower, upper) = (*self.bounds.start(), *self.bounds.end());
        let open = self.open.get_or_insert_with(key, turn.now, Open::default)?;
        let (time, join, out) = (timestamp.as_millis(), &mut self.join, &mut *turn.out);
        let later = |other: i64| joined_at(timestamp.max(Timestamp::from_millis(other)));
        let last = match item {
            Either::Left(left) => {
                let (first, last) = (time.saturating_add(lower), time.saturating_add(upper));
                for (other, right) in within(&open.right, first, last) {
                    out.push(join(&left, right), later(other));
                }
                open.left.entry(time).or_default().push(left);
                last
            }
            Either::Right(right) => {
                let (first, last) = (time.saturating_sub(upper), time.saturating_sub(lower));
                for (other, left) in within(&open.left, first, last) {
                    out.push(join(left, &right), later(other));
                }
                open.right.entry(time).or_default().push(right);
                last
            }
        };
        let end = Timestamp::from_millis(last);
        if end < open.next {
            open.next = end;
            self.ends.set(end, key);
        }
        Ok(())
    }
}

impl<K, A, B, U, F, J> KeyedOperator<Either<A, B>> for IntervalJoin<K, A, B, F, J>
where
    K: Key,
    A: Kept,
    B: Kept,
    F: FnMut(&Either<A, B>) -> K + Send + 'static,
    J: FnMut(&A, &B) -> U + Send + 'static,
    U: Send + 'static,
{
    type Out = U;

    fn batch(&mut self, batch: Batch<Either<A, B>>, turn: &mut Turn<'_, U>) -> Result<()> {
        for (item, meta) in batch.into_records() {
            turn.stage.current = meta;
            let timestamp = event_time(meta, turn)?;
            if timestamp <= turn.watermark {
                self.late.add(1);
                continue;
            }
            let key = (self.key)(&item);
            self.meet(&key, timestamp, item, turn)?;
        }
        // Where all partners are earlier ones, a record that has met them may be over already.
        self.forget(turn.watermark, turn.now)
    }

    fn watermark(&mut self, turn: &mut Turn<'_, U>) -> Result<()> {
        self.forget(turn.watermark, turn.now)
    }

    fn next_timer(&self) -> Option<Timestamp> {
        None
    }

    fn processing_time(&mut self, _turn: &mut Turn<'_, U>) -> Result<()> {
        Ok(())
    }

    fn open(&mut self, backend: &Backend) -> Result<()> {
        self.open = backend.table(JOINED, None)?;
        Ok(())
    }

    fn snapshot(&mut self, writer: &mut SnapshotWriter) -> Result<()> {
        self.open.snapshot(JOINED, writer)
    }

    fn restore(&mut self, reader: &SnapshotReader<'_>, now: Timestamp) -> Result<()> {
        let Self { open, ends, .. } = self;
        reader.table(JOINED, |key: K, _, own: Open<A, B>| {
            ends.set(own.next, &key);
            open.insert(&key, own, now)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::keyed::testing::Bench;

    type Record = (u8, i64);
    type Pair = Either<Record, Record>;
    type Join = IntervalJoin<u8, Record, Record, fn(&Pair) -> u8, fn(&Record, &Record) -> (i64, i64)>;

    fn key(pair: &Pair) -> u8 {
        match pair {
            Either::Left((key, _)) | Either::Right((key, _)) => *key,
        }
    }

    fn join(lower: i64, upper: i64) -> Bench<Pair, Join> {
        Bench::new(Join::new(key, |left, right| (left.1, right.1), lower..=upper, Counter::default()))
    }

    #[test]
    fn forgets_a_record_when_no_partner_can_come() {
        let mut bench = join(-5, 10);
        for (time, item) in
            [(20, Either::Left((1, 20))), (22, Either::Right((1, 22))), (15, Either::Right((2, 15)))]
        {
            bench.record(item, time);
        }
        assert_eq!(bench.take(), [((20, 22), 22)]);
        bench.watermark(20);
        assert_eq!(
            bench.operator.open.len(),
            1,
            "a left record before 20 would have found the right one at 15"
        );
        bench.watermark(26);
        bench.record(Either::Left((1, 27)), 27);
        assert_eq!(bench.take(), [((27, 22), 27)], "the last moment of a partner");
        bench.watermark(27);
        let open = bench
            .operator
            .open
            .get(&1, Timestamp::MIN)
            .expect("memory")
            .expect("the left ones wait until 30 and 37");
        assert_eq!((open.left.len(), open.right.len()), (2, 0));
        bench.watermark(29);
        bench.record(Either::Right((1, 30)), 30);
        assert_eq!(bench.take(), [((20, 30), 30), ((27, 30), 30)]);
        bench.watermark(36);
        assert_eq!(bench.operator.open.len(), 1);
        bench.watermark(37);
        assert!(bench.operator.open.is_empty() && bench.operator.ends.next().is_none());
    }

    #[test]
    fn an_earlier_record_is_forgotten_before_a_later_one() {
        let mut bench = join(0, 10);
        bench.record(Either::Left((1, 50)), 50);
        bench.record(Either::Left((1, 20)), 20);
        bench.watermark(30);
        let open = bench.operator.open.get(&1, Timestamp::MIN).expect("memory").expect("one waits until 60");
        assert_eq!(open.left.len(), 1);
        bench.watermark(60);
        assert!(bench.operator.open.is_empty() && bench.operator.ends.next().is_none());
    }

    #[test]
    fn counts_and_drops_what_comes_too_late() {
        let mut bench = join(-5, 10);
        bench.watermark(20);
        bench.record(Either::Left((1, 20)), 20);
        assert_eq!((bench.operator.late.get(), bench.operator.open.len()), (1, 0));
    }

    #[test]
    fn keeps_nothing_of_a_record_whose_partners_are_all_past() {
        let mut bench = join(-10, -5);
        bench.watermark(30);
        bench.record(Either::Left((1, 33)), 33);
        assert!(bench.operator.open.is_empty() && bench.operator.ends.next().is_none());
    }
}
