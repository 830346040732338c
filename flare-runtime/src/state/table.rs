//! One state of all keys of a subtask, in memory.

use std::hash::Hash;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use indexmap::IndexMap;

use super::ttl::{Timed, Ttl};
use crate::model::Timestamp;

/// Fixed seeds: a run is repeated exactly by the same input.
pub(super) fn hasher() -> ahash::RandomState {
    ahash::RandomState::with_seeds(
        0x243f_6a88_85a3_08d3,
        0x1319_8a2e_0370_7344,
        0xa409_3822_299f_31d0,
        0x082e_fa98,
    )
}

/// Values by key. Without a TTL a value costs nothing beside itself and its key.
#[derive(Clone, Debug)]
pub struct Table<K, V>(Values<K, V>);

#[derive(Clone, Debug)]
enum Values<K, V> {
    Kept {
        /// A table and not a map, so that one search finds a key or its place, and only a new key is cloned.
        values: HashTable<(K, V)>,
        hasher: ahash::RandomState,
    },
    Ageing {
        ttl: Ttl,
        /// Entries have a position, so that a sweep can stop and go on.
        values: IndexMap<K, Timed<V>, ahash::RandomState>,
        swept: usize,
    },
}

impl<K: Hash + Eq + Clone, V> Table<K, V> {
    /// An empty table.
    pub fn new(ttl: Option<Ttl>) -> Self {
        Self(match ttl {
            None => Values::Kept { values: HashTable::new(), hasher: hasher() },
            Some(ttl) => Values::Ageing { ttl, values: IndexMap::with_hasher(hasher()), swept: 0 },
        })
    }

    /// Number of keys, those included whose time is over and who were not met since.
    pub fn len(&self) -> usize {
        match &self.0 {
            Values::Kept { values, .. } => values.len(),
            Values::Ageing { values, .. } => values.len(),
        }
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key.
    pub fn get(&mut self, key: &K, now: Timestamp) -> Option<&V> {
        match &mut self.0 {
            Values::Kept { values, hasher } => {
                values.find(hasher.hash_one(key), |(known, _)| known == key).map(|(_, value)| value)
            }
            Values::Ageing { ttl, values, .. } => {
                let index = live(*ttl, values, key, now)?;
                let entry = &mut values[index];
                if ttl.on_read {
                    entry.touched = now;
                }
                Some(&entry.value)
            }
        }
    }

    /// The value of a key, to be changed.
    pub fn get_mut(&mut self, key: &K, now: Timestamp) -> Option<&mut V> {
        match &mut self.0 {
            Values::Kept { values, hasher } => {
                values.find_mut(hasher.hash_one(key), |(known, _)| known == key).map(|(_, value)| value)
            }
            Values::Ageing { ttl, values, .. } => {
                let index = live(*ttl, values, key, now)?;
                let entry = &mut values[index];
                entry.touched = now;
                Some(&mut entry.value)
            }
        }
    }

    /// The value of a key, to be changed; made by `make` where there is none.
    pub fn get_or_insert_with(&mut self, key: &K, now: Timestamp, make: impl FnOnce() -> V) -> &mut V {
        match &mut self.0 {
            Values::Kept { values, hasher } => {
                let entry = values.entry(
                    hasher.hash_one(key),
                    |(known, _)| known == key,
                    |(known, _)| hasher.hash_one(known),
                );
                let (_, value) = match entry {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(free) => free.insert((key.clone(), make())).into_mut(),
                };
                value
            }
            Values::Ageing { ttl, values, .. } => {
                let index = live(*ttl, values, key, now);
                let fresh = || values.insert_full(key.clone(), Timed { value: make(), touched: now }).0;
                let index = index.unwrap_or_else(fresh);
                let entry = &mut values[index];
                entry.touched = now;
                &mut entry.value
            }
        }
    }

    /// Sets the value of a key.
    pub fn insert(&mut self, key: &K, value: V, now: Timestamp) {
        let mut value = Some(value);
        let slot = self.get_or_insert_with(key, now, || value.take().expect("made once"));
        if let Some(value) = value {
            *slot = value;
        }
    }

    /// Forgets a key; returns its value.
    pub fn remove(&mut self, key: &K, now: Timestamp) -> Option<V> {
        match &mut self.0 {
            Values::Kept { values, hasher } => {
                let found = values.find_entry(hasher.hash_one(key), |(known, _)| known == key);
                found.ok().map(|entry| entry.remove().0.1)
            }
            Values::Ageing { ttl, values, .. } => {
                let entry = values.swap_remove(key)?;
                (!ttl.is_over(entry.touched, now)).then_some(entry.value)
            }
        }
    }

    /// Forgets some of what is over: looks at the next `count` keys.
    pub fn sweep(&mut self, count: usize, now: Timestamp) {
        let Values::Ageing { ttl, values, swept } = &mut self.0 else { return };
        for _ in 0..count.min(values.len()) {
            if *swept >= values.len() {
                *swept = 0;
            }
            match values.get_index(*swept) {
                Some((_, entry)) if ttl.is_over(entry.touched, now) => drop(values.swap_remove_index(*swept)),
                _ => *swept += 1,
            }
        }
    }

    /// Takes all values out, in no order.
    pub fn drain(&mut self) -> impl Iterator<Item = (K, V)> {
        let (kept, ageing) = match &mut self.0 {
            Values::Kept { values, .. } => (Some(values.drain()), None),
            Values::Ageing { values, .. } => (None, Some(values.drain(..))),
        };
        let kept = kept.into_iter().flatten();
        kept.chain(ageing.into_iter().flatten().map(|(key, entry)| (key, entry.value)))
    }

    /// All values, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let (kept, ageing) = match &self.0 {
            Values::Kept { values, .. } => (Some(values.iter()), None),
            Values::Ageing { values, .. } => (None, Some(values.iter())),
        };
        let kept = kept.into_iter().flatten();
        let kept = kept.map(|(key, value)| (key, value));
        kept.chain(ageing.into_iter().flatten().map(|(key, entry)| (key, &entry.value)))
    }
}

/// Where the key's value is; one whose time is over is forgotten.
fn live<K: Hash + Eq, V>(
    ttl: Ttl,
    values: &mut IndexMap<K, Timed<V>, ahash::RandomState>,
    key: &K,
    now: Timestamp,
) -> Option<usize> {
    let (index, _, entry) = values.get_full(key)?;
    if ttl.is_over(entry.touched, now) {
        values.swap_remove_index(index);
        return None;
    }
    Some(index)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn forgets_after_the_last_write() {
        let mut table = Table::new(Some(Ttl::after_write(Duration::from_millis(10))));
        table.insert(&1, "a", at(0));
        assert_eq!(table.get(&1, at(9)), Some(&"a"));
        assert_eq!(table.get(&1, at(10)), None);
        assert!(table.is_empty());
    }

    #[test]
    fn lives_on_while_it_is_read() {
        let mut table = Table::new(Some(Ttl::after_access(Duration::from_millis(10))));
        table.insert(&1, "a", at(0));
        assert_eq!(table.get(&1, at(9)), Some(&"a"));
        assert_eq!(table.get(&1, at(18)), Some(&"a"));
        assert_eq!(table.remove(&1, at(28)), None);
    }

    #[test]
    fn sweeps_a_little_at_a_time_and_all_in_the_end() {
        let mut table = Table::new(Some(Ttl::after_write(Duration::from_millis(10))));
        for key in 0..100 {
            table.insert(&key, key, at(key % 2 * 10));
        }
        table.sweep(10, at(15));
        assert!((90..100).contains(&table.len()));
        for _ in 0..20 {
            table.sweep(10, at(15));
        }
        assert_eq!(table.len(), 50);
    }
}
