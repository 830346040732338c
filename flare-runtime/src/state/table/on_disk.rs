//! Values on disk, with and without a time after which they are forgotten.

use super::Values;
use crate::error::Result;
use crate::model::{Key, Timestamp};
use crate::state::disk::DiskTable;
use crate::state::states::Kept;
use crate::state::ttl::{Timed, Ttl};

impl<K: Key, V: Kept> Values<K, V> for DiskTable<K, V> {
    fn len(&self) -> usize {
        self.in_memory()
    }

    #[inline]
    fn get(&mut self, key: &K, _now: Timestamp) -> Result<Option<&V>> {
        Self::get(self, key)
    }

    #[inline]
    fn get_mut(&mut self, key: &K, _now: Timestamp) -> Result<Option<&mut V>> {
        Self::get_mut(self, key)
    }

    #[inline]
    fn get_or_insert_with(&mut self, key: &K, _now: Timestamp, make: impl FnOnce() -> V) -> Result<&mut V> {
        Self::get_or_insert_with(self, key, make)
    }

    fn remove(&mut self, key: &K, _now: Timestamp) -> Result<Option<V>> {
        Self::remove(self, key)
    }

    fn sweep(&mut self, _count: usize, _now: Timestamp) -> Result<()> {
        Ok(())
    }

    fn for_each(&mut self, mut each: impl FnMut(&K, Timestamp, &V) -> Result<()>) -> Result<()> {
        Self::for_each(self, |_, key, value| each(key, Timestamp::MIN, value))
    }

    fn put_back(&mut self, key: &K, _touched: Timestamp, value: V) -> Result<()> {
        self.insert(key, value)
    }
}

/// Values with the time of their last use.
#[derive(Debug)]
pub(super) struct AgeingOnDisk<K, V> {
    ttl: Ttl,
    table: DiskTable<K, Timed<V>>,
}

impl<K: Key, V: Kept> AgeingOnDisk<K, V> {
    pub(super) fn new(ttl: Ttl, table: DiskTable<K, Timed<V>>) -> Self {
        Self { ttl, table }
    }

    /// Forgets the key when its time is over.
    fn let_go(&mut self, key: &K, now: Timestamp) -> Result<()> {
        let ttl = self.ttl;
        if self.table.get(key)?.is_some_and(|entry| ttl.is_over(entry.touched, now)) {
            self.table.remove(key)?;
        }
        Ok(())
    }
}

impl<K: Key, V: Kept> Values<K, V> for AgeingOnDisk<K, V> {
    fn len(&self) -> usize {
        self.table.in_memory()
    }

    fn get(&mut self, key: &K, now: Timestamp) -> Result<Option<&V>> {
        self.let_go(key, now)?;
        if !self.ttl.on_read {
            return Ok(self.table.get(key)?.map(|entry| &entry.value));
        }
        let entry = self.table.get_mut(key)?;
        Ok(entry.map(|entry| {
            entry.touched = now;
            &entry.value
        }))
    }

    fn get_mut(&mut self, key: &K, now: Timestamp) -> Result<Option<&mut V>> {
        self.let_go(key, now)?;
        let entry = self.table.get_mut(key)?;
        Ok(entry.map(|entry| {
            entry.touched = now;
            &mut entry.value
        }))
    }

    fn get_or_insert_with(&mut self, key: &K, now: Timestamp, make: impl FnOnce() -> V) -> Result<&mut V> {
        self.let_go(key, now)?;
        let entry = self.table.get_or_insert_with(key, || Timed { value: make(), touched: now })?;
        entry.touched = now;
        Ok(&mut entry.value)
    }

    fn remove(&mut self, key: &K, now: Timestamp) -> Result<Option<V>> {
        let Some(entry) = self.table.remove(key)? else { return Ok(None) };
        Ok((!self.ttl.is_over(entry.touched, now)).then_some(entry.value))
    }

    fn sweep(&mut self, count: usize, now: Timestamp) -> Result<()> {
        let ttl = self.ttl;
        self.table.sweep(count, |entry| ttl.is_over(entry.touched, now))
    }

    fn for_each(&mut self, mut each: impl FnMut(&K, Timestamp, &V) -> Result<()>) -> Result<()> {
        self.table.for_each(|_, key, entry| each(key, entry.touched, &entry.value))
    }

    fn put_back(&mut self, key: &K, touched: Timestamp, value: V) -> Result<()> {
        self.table.insert(key, Timed { value, touched })
    }
}
