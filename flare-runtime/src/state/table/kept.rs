//! Values in memory, for as long as the job runs.

use std::hash::Hash;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::{Values, hasher};
use crate::error::Result;
use crate::model::Timestamp;

/// A table and not a map, so that one search finds a key or its place, and only a new key is cloned.
#[derive(Debug)]
pub(super) struct InMemory<K, V> {
    values: HashTable<(K, V)>,
    hasher: ahash::RandomState,
}

impl<K, V> Default for InMemory<K, V> {
    fn default() -> Self {
        Self { values: HashTable::new(), hasher: hasher() }
    }
}

impl<K: Hash + Eq + Clone, V> Values<K, V> for InMemory<K, V> {
    fn len(&self) -> usize {
        self.values.len()
    }

    #[inline]
    fn get(&mut self, key: &K, _now: Timestamp) -> Result<Option<&V>> {
        let found = self.values.find(self.hasher.hash_one(key), |(known, _)| known == key);
        Ok(found.map(|(_, value)| value))
    }

    #[inline]
    fn get_mut(&mut self, key: &K, _now: Timestamp) -> Result<Option<&mut V>> {
        let found = self.values.find_mut(self.hasher.hash_one(key), |(known, _)| known == key);
        Ok(found.map(|(_, value)| value))
    }

    #[inline]
    fn get_or_insert_with(&mut self, key: &K, _now: Timestamp, make: impl FnOnce() -> V) -> Result<&mut V> {
        let Self { values, hasher } = self;
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

    fn remove(&mut self, key: &K, _now: Timestamp) -> Result<Option<V>> {
        let found = self.values.find_entry(self.hasher.hash_one(key), |(known, _)| known == key);
        Ok(found.ok().map(|entry| entry.remove().0.1))
    }

    fn sweep(&mut self, _count: usize, _now: Timestamp) -> Result<()> {
        Ok(())
    }

    fn for_each(&mut self, mut each: impl FnMut(&K, Timestamp, &V) -> Result<()>) -> Result<()> {
        self.values.iter().try_for_each(|(key, value)| each(key, Timestamp::MIN, value))
    }

    fn put_back(&mut self, key: &K, touched: Timestamp, value: V) -> Result<()> {
        self.remove(key, touched)?;
        self.get_or_insert_with(key, touched, || value).map(drop)
    }
}
