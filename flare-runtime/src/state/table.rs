//! One state of all keys of a subtask, in memory.

use std::hash::Hash;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use indexmap::IndexMap;

use super::snapshot::{SnapshotReader, SnapshotWriter};
use super::states::Kept;
use super::ttl::{Timed, Ttl};
use crate::error::Result;
use crate::model::{Key, Timestamp};

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
    ///
    /// # Errors
    /// When the backend cannot read it.
    pub fn get(&mut self, key: &K, now: Timestamp) -> Result<Option<&V>> {
        match &mut self.0 {
            Values::Kept { values, hasher } => {
                let found = values.find(hasher.hash_one(key), |(known, _)| known == key);
                Ok(found.map(|(_, value)| value))
            }
            Values::Ageing { ttl, values, .. } => {
                let Some(index) = live(*ttl, values, key, now) else { return Ok(None) };
                let entry = &mut values[index];
                if ttl.on_read {
                    entry.touched = now;
                }
                Ok(Some(&entry.value))
            }
        }
    }

    /// The value of a key, to be changed.
    ///
    /// # Errors
    /// When the backend cannot read it.
    pub fn get_mut(&mut self, key: &K, now: Timestamp) -> Result<Option<&mut V>> {
        match &mut self.0 {
            Values::Kept { values, hasher } => {
                let found = values.find_mut(hasher.hash_one(key), |(known, _)| known == key);
                Ok(found.map(|(_, value)| value))
            }
            Values::Ageing { ttl, values, .. } => {
                let Some(index) = live(*ttl, values, key, now) else { return Ok(None) };
                let entry = &mut values[index];
                entry.touched = now;
                Ok(Some(&mut entry.value))
            }
        }
    }

    /// The value of a key, to be changed; made by `make` where there is none.
    ///
    /// # Errors
    /// When the backend cannot read it.
    pub fn get_or_insert_with(
        &mut self,
        key: &K,
        now: Timestamp,
        make: impl FnOnce() -> V,
    ) -> Result<&mut V> {
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
                Ok(value)
            }
            Values::Ageing { ttl, values, .. } => {
                let index = live(*ttl, values, key, now);
                let fresh = || values.insert_full(key.clone(), Timed { value: make(), touched: now }).0;
                let index = index.unwrap_or_else(fresh);
                let entry = &mut values[index];
                entry.touched = now;
                Ok(&mut entry.value)
            }
        }
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// When the backend cannot write it.
    pub fn insert(&mut self, key: &K, value: V, now: Timestamp) -> Result<()> {
        let mut value = Some(value);
        let slot = self.get_or_insert_with(key, now, || value.take().expect("made once"))?;
        if let Some(value) = value {
            *slot = value;
        }
        Ok(())
    }

    /// Forgets a key; returns its value.
    ///
    /// # Errors
    /// When the backend cannot read or write it.
    pub fn remove(&mut self, key: &K, now: Timestamp) -> Result<Option<V>> {
        match &mut self.0 {
            Values::Kept { values, hasher } => {
                let found = values.find_entry(hasher.hash_one(key), |(known, _)| known == key);
                Ok(found.ok().map(|entry| entry.remove().0.1))
            }
            Values::Ageing { ttl, values, .. } => {
                let Some(entry) = values.swap_remove(key) else { return Ok(None) };
                Ok((!ttl.is_over(entry.touched, now)).then_some(entry.value))
            }
        }
    }

    /// Forgets some of what is over: looks at the next `count` keys.
    ///
    /// # Errors
    /// When the backend cannot read or write.
    pub fn sweep(&mut self, count: usize, now: Timestamp) -> Result<()> {
        let Values::Ageing { ttl, values, swept } = &mut self.0 else { return Ok(()) };
        for _ in 0..count.min(values.len()) {
            if *swept >= values.len() {
                *swept = 0;
            }
            match values.get_index(*swept) {
                Some((_, entry)) if ttl.is_over(entry.touched, now) => drop(values.swap_remove_index(*swept)),
                _ => *swept += 1,
            }
        }
        Ok(())
    }

    /// Calls `each` with all values, in no order.
    ///
    /// # Errors
    /// When the backend cannot read one, and what `each` returns.
    pub fn for_each(&mut self, mut each: impl FnMut(&K, &V) -> Result<()>) -> Result<()> {
        match &self.0 {
            Values::Kept { values, .. } => values.iter().try_for_each(|(key, value)| each(key, value)),
            Values::Ageing { values, .. } => {
                values.iter().try_for_each(|(key, entry)| each(key, &entry.value))
            }
        }
    }
}

impl<K: Key, V: Kept> Table<K, V> {
    /// Writes all values as the state `name`.
    ///
    /// # Errors
    /// When one cannot be read or written.
    pub fn snapshot(&mut self, name: &str, writer: &mut SnapshotWriter) -> Result<()> {
        match &self.0 {
            Values::Kept { values, .. } => {
                let mut table = writer.table::<K, V>(name, false)?;
                values.iter().try_for_each(|(key, value)| table.put(key, Timestamp::MIN, value))
            }
            Values::Ageing { values, .. } => {
                let mut table = writer.table::<K, V>(name, true)?;
                values.iter().try_for_each(|(key, entry)| table.put(key, entry.touched, &entry.value))
            }
        }
    }

    /// Adds the values of the state `name`. Those without a time of their last use count as used at `now`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn restore(&mut self, name: &str, reader: &SnapshotReader<'_>, now: Timestamp) -> Result<()> {
        reader.table(name, |key, touched, value| self.insert(&key, value, touched.unwrap_or(now)))
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
        table.insert(&1, "a", at(0)).expect("memory");
        assert_eq!(table.get(&1, at(9)).expect("memory"), Some(&"a"));
        assert_eq!(table.get(&1, at(10)).expect("memory"), None);
        assert!(table.is_empty());
    }

    #[test]
    fn lives_on_while_it_is_read() {
        let mut table = Table::new(Some(Ttl::after_access(Duration::from_millis(10))));
        table.insert(&1, "a", at(0)).expect("memory");
        assert_eq!(table.get(&1, at(9)).expect("memory"), Some(&"a"));
        assert_eq!(table.get(&1, at(18)).expect("memory"), Some(&"a"));
        assert_eq!(table.remove(&1, at(28)).expect("memory"), None);
    }

    #[test]
    fn sweeps_a_little_at_a_time_and_all_in_the_end() {
        let mut table = Table::new(Some(Ttl::after_write(Duration::from_millis(10))));
        for key in 0..100 {
            table.insert(&key, key, at(key % 2 * 10)).expect("memory");
        }
        table.sweep(10, at(15)).expect("memory");
        assert!((90..100).contains(&table.len()));
        for _ in 0..20 {
            table.sweep(10, at(15)).expect("memory");
        }
        assert_eq!(table.len(), 50);
    }
}
