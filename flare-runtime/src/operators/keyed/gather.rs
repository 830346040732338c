//! All records of a window, in the order of their arrival.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Aggregate;
use super::window::{Window, WindowOut};
use crate::model::Key;

/// Gathers records in the order of their arrival, also where parts of a window are put together.
#[derive(Clone, Debug)]
pub struct Gather {
    /// The number of the next record.
    next: Cell<u64>,
}

impl Default for Gather {
    /// Numbers from the machine's time on, in nanoseconds: so records come behind those that an earlier run has left.
    fn default() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { next: Cell::new(u64::try_from(since.as_nanos()).unwrap_or_default()) }
    }
}

/// Records with the numbers of their arrival; a copy shares them until one of the two gets more.
#[derive(Clone, Debug)]
pub struct Gathered<T>(Arc<Numbered<T>>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Numbered<T> {
    arrivals: Vec<u64>,
    records: Vec<T>,
}

impl<T> Gathered<T> {
    /// The records in the order of their arrival.
    pub fn records(&self) -> &[T] {
        &self.0.records
    }
}

impl<T: Serialize> Serialize for Gathered<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Gathered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Numbered::deserialize(deserializer).map(|numbered| Self(Arc::new(numbered)))
    }
}

impl<T: Clone> Numbered<T> {
    fn push(&mut self, arrival: u64, record: T) {
        self.arrivals.push(arrival);
        self.records.push(record);
    }

    /// Adds records at their places between the own ones.
    fn merge(&mut self, other: &Self) {
        let room = self.records.len() + other.records.len();
        let (arrivals, records) = (Vec::with_capacity(room), Vec::with_capacity(room));
        let own = std::mem::replace(self, Self { arrivals, records });
        let mut others = other.arrivals.iter().copied().zip(&other.records).peekable();
        for (arrival, record) in own.arrivals.into_iter().zip(own.records) {
            while let Some((earlier, record)) = others.next_if(|(other, _)| *other < arrival) {
                self.push(earlier, record.clone());
            }
            self.push(arrival, record);
        }
        others.for_each(|(arrival, record)| self.push(arrival, record.clone()));
    }
}

impl<T> Aggregate<T> for Gather
where
    T: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    type Accumulator = Gathered<T>;
    type Out = Gathered<T>;

    fn create(&self) -> Gathered<T> {
        Gathered(Arc::new(Numbered { arrivals: Vec::new(), records: Vec::new() }))
    }

    fn add(&self, gathered: &mut Gathered<T>, record: &T) {
        self.add_owned(gathered, record.clone());
    }

    fn add_owned(&self, gathered: &mut Gathered<T>, record: T) {
        // A clock that was set back must not put a record before those that it follows.
        let behind = gathered.0.arrivals.last().map_or(0, |last| last + 1);
        let arrival = self.next.get().max(behind);
        self.next.set(arrival + 1);
        Arc::make_mut(&mut gathered.0).push(arrival, record);
    }

    fn merge(&self, gathered: &mut Gathered<T>, other: &Gathered<T>) {
        Arc::make_mut(&mut gathered.0).merge(&other.0);
    }

    fn result(&self, gathered: &Gathered<T>) -> Gathered<T> {
        gathered.clone()
    }
}

/// Gives the records that a function makes of those that were gathered.
pub struct Processed<F>(pub F);

impl<K, T, U, F> WindowOut<K, T, Gathered<T>> for Processed<F>
where
    K: Key,
    F: FnMut(&K, Window, &[T]) -> U + Send + 'static,
    U: IntoIterator,
    U::Item: Send + 'static,
{
    type Out = U::Item;

    fn result(&mut self, key: &K, window: Window, gathered: Gathered<T>, emit: impl FnMut(U::Item)) {
        (self.0)(key, window, gathered.records()).into_iter().for_each(emit);
    }

    fn late(&mut self, _item: T) -> Option<U::Item> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::api::Counter;
    use crate::operators::keyed::KeyedOperator;
    use crate::operators::keyed::testing::Bench;
    use crate::operators::keyed::window::{Domain, Firing, FixedWindows, Grid, SessionWindows, WindowParts};

    /// A record that counts its copies.
    #[derive(Default, Serialize, Deserialize)]
    struct Tracked(u8, #[serde(skip)] Arc<AtomicUsize>);

    impl Clone for Tracked {
        fn clone(&self) -> Self {
            self.1.fetch_add(1, Ordering::Relaxed);
            Self(self.0, Arc::clone(&self.1))
        }
    }

    type Numbers = fn(&u8, Window, &[Tracked]) -> Option<Vec<u8>>;

    fn parts() -> WindowParts<fn(&Tracked) -> u8, Gather, Processed<Numbers>> {
        let firing = Firing { domain: Domain::Event, lateness: Duration::ZERO, early: None };
        let out = Processed::<Numbers>(|_, _, records| Some(records.iter().map(|record| record.0).collect()));
        WindowParts { key: |_| 1, aggregate: Gather::default(), out, firing, late: Counter::default() }
    }

    /// Runs three records through windows; says how often one was copied.
    fn copies<O: KeyedOperator<Tracked, Out = Vec<u8>>>(operator: O, expected: &[(Vec<u8>, i64)]) -> usize {
        let (mut bench, copies) = (Bench::new(operator), Arc::new(AtomicUsize::new(0)));
        for (number, time) in [(1, 7), (2, 1), (3, 8)] {
            bench.record(Tracked(number, Arc::clone(&copies)), time);
        }
        bench.watermark(60);
        assert_eq!(bench.take(), expected);
        assert_eq!(Arc::strong_count(&copies), 1, "somebody remembers a record");
        copies.load(Ordering::Relaxed)
    }

    #[test]
    fn copies_records_only_where_panes_are_put_together() {
        let tumbling = FixedWindows::new(parts(), Grid::even(10, 10, 0));
        assert_eq!(copies(tumbling, &[(vec![1, 2, 3], 9)]), 0);
        let session = SessionWindows::new(parts(), Duration::from_millis(10));
        assert_eq!(copies(session, &[(vec![1, 2, 3], 17)]), 0);
        let sliding = FixedWindows::new(parts(), Grid::even(10, 5, 0));
        let expected = [(vec![2], 4), (vec![1, 2, 3], 9), (vec![1, 3], 14)];
        assert_eq!(copies(sliding, &expected), 3);
    }

    #[test]
    fn keeps_the_order_of_arrival_when_it_is_restored() {
        let (before, now) = (Gather::default(), Gather { next: Cell::new(u64::MAX / 2) });
        let (mut early, mut late) = (before.create(), now.create());
        before.add(&mut early, &'a');
        before.add(&mut early, &'b');
        now.add(&mut late, &'c');
        let kept = serde_json::to_string(&early).expect("plain data");
        let restored: Gathered<char> = serde_json::from_str(&kept).expect("as it was written");
        now.merge(&mut late, &restored);
        assert_eq!(late.records(), ['a', 'b', 'c']);
    }
}
