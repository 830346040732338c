//! Values in memory that are forgotten after a time.

use std::hash::Hash;

use indexmap::IndexMap;

use super::{Values, hasher};
use crate::error::Result;
use crate::model::Timestamp;
use crate::state::ttl::{Timed, Ttl};

/// Entries have a position, so that a sweep can stop and go on.
#[derive(Debug)]
pub(super) struct Ageing<K, V> {
    ttl: Ttl,
    values: IndexMap<K, Timed<V>, ahash::RandomState>,
    swept: usize,
}

impl<K: Hash + Eq, V> Ageing<K, V> {
    pub(super) fn new(ttl: Ttl) -> Self {
        Self { ttl, values: IndexMap::with_hasher(hasher()), swept: 0 }
    }

    /// Where the key's value is; one whose time is over is forgotten.
    fn live(&mut self, key: &K, now: Timestamp) -> Option<usize> {
        let (index, _, entry) = self.values.get_full(key)?;
        if self.ttl.is_over(entry.touched, now) {
            self.values.swap_remove_index(index);
            return None;
        }
        Some(index)
    }
}

impl<K: Hash + Eq + Clone, V> Values<K, V> for Ageing<K, V> {
    fn len(&self) -> usize {
        self.values.len()
    }

    fn get(&mut self, key: &K, now: Timestamp) -> Result<Option<&V>> {
        let Some(index) = self.live(key, now) else { return Ok(None) };
        let entry = &mut self.values[index];
        if self.ttl.on_read {
            entry.touched = now;
        }
        Ok(Some(&entry.value))
    }

    fn get_mut(&mut self, key: &K, now: Timestamp) -> Result<Option<&mut V>> {
        let Some(index) = self.live(key, now) else { return Ok(None) };
        let entry = &mut self.values[index];
        entry.touched = now;
        Ok(Some(&mut entry.value))
    }

    fn get_or_insert_with(&mut self, key: &K, now: Timestamp, make: impl FnOnce() -> V) -> Result<&mut V> {
        let index = match self.live(key, now) {
            Some(index) => index,
            None => self.values.insert_full(key.clone(), Timed { value: make(), touched: now }).0,
        };
        let entry = &mut self.values[index];
        entry.touched = now;
        Ok(&mut entry.value)
    }

    fn remove(&mut self, key: &K, now: Timestamp) -> Result<Option<V>> {
        let Some(entry) = self.values.swap_remove(key) else { return Ok(None) };
        Ok((!self.ttl.is_over(entry.touched, now)).then_some(entry.value))
    }

    fn sweep(&mut self, count: usize, now: Timestamp) -> Result<()> {
        let Self { ttl, values, swept } = self;
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

    fn for_each(&mut self, mut each: impl FnMut(&K, Timestamp, &V) -> Result<()>) -> Result<()> {
        self.values.iter().try_for_each(|(key, entry)| each(key, entry.touched, &entry.value))
    }

    fn put_back(&mut self, key: &K, touched: Timestamp, value: V) -> Result<()> {
        self.values.insert(key.clone(), Timed { value, touched });
        Ok(())
    }
}
