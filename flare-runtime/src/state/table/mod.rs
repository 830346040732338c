//! One state of all keys of a subtask.

mod ageing;
mod kept;
#[cfg(feature = "disk-state")]
mod on_disk;
#[cfg(test)]
mod tests;

use ageing::Ageing;
use kept::InMemory;
#[cfg(feature = "disk-state")]
use on_disk::AgeingOnDisk;

#[cfg(feature = "disk-state")]
use super::disk::{DiskStore, DiskTable};
use super::snapshot::{SnapshotReader, SnapshotWriter};
use super::states::Kept;
use super::ttl::Ttl;
use crate::error::Result;
#[cfg(feature = "disk-state")]
use crate::model::KeyGroups;
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

/// What a backend does for a [`Table`], by whose methods these are explained.
trait Values<K, V> {
    fn len(&self) -> usize;
    fn get(&mut self, key: &K, now: Timestamp) -> Result<Option<&V>>;
    fn get_mut(&mut self, key: &K, now: Timestamp) -> Result<Option<&mut V>>;
    fn get_or_insert_with(&mut self, key: &K, now: Timestamp, make: impl FnOnce() -> V) -> Result<&mut V>;
    fn remove(&mut self, key: &K, now: Timestamp) -> Result<Option<V>>;

    fn update_each<T>(
        &mut self,
        now: Timestamp,
        items: impl Iterator<Item = T>,
        mut key: impl FnMut(&T) -> K,
        mut make: impl FnMut() -> V,
        mut each: impl FnMut(T, K, &mut V),
    ) -> Result<()> {
        for item in items {
            let key = key(&item);
            let value = self.get_or_insert_with(&key, now, &mut make)?;
            each(item, key, value);
        }
        Ok(())
    }

    fn sweep(&mut self, count: usize, now: Timestamp) -> Result<()>;
    /// With the time of the last use; any, where nobody keeps that.
    fn for_each(&mut self, each: impl FnMut(&K, Timestamp, &V) -> Result<()>) -> Result<()>;
    /// Adds a value that was used then.
    fn put_back(&mut self, key: &K, touched: Timestamp, value: V) -> Result<()>;
}

/// Values by key. Without a TTL a value in memory costs nothing beside itself and its key.
#[derive(Debug)]
pub struct Table<K, V>(Kind<K, V>);

#[derive(Debug)]
enum Kind<K, V> {
    InMemory(InMemory<K, V>),
    Ageing(Ageing<K, V>),
    #[cfg(feature = "disk-state")]
    OnDisk(DiskTable<K, V>),
    #[cfg(feature = "disk-state")]
    AgeingOnDisk(AgeingOnDisk<K, V>),
}

/// Calls the backend, whichever it is.
macro_rules! on {
    ($table:expr, $values:ident => $call:expr) => {
        match $table {
            Kind::InMemory($values) => $call,
            Kind::Ageing($values) => $call,
            #[cfg(feature = "disk-state")]
            Kind::OnDisk($values) => $call,
            #[cfg(feature = "disk-state")]
            Kind::AgeingOnDisk($values) => $call,
        }
    };
}

impl<K: Key, V: Kept> Table<K, V> {
    /// An empty table in memory.
    pub fn new(ttl: Option<Ttl>) -> Self {
        Self(match ttl {
            None => Kind::InMemory(InMemory::default()),
            Some(ttl) => Kind::Ageing(Ageing::new(ttl)),
        })
    }

    /// An empty table on disk.
    #[cfg(feature = "disk-state")]
    pub(super) fn on_disk(
        store: &DiskStore,
        name: &str,
        ttl: Option<Ttl>,
        groups: KeyGroups,
    ) -> Result<Self> {
        Ok(Self(match ttl {
            None => Kind::OnDisk(store.table(name, groups)?),
            Some(ttl) => Kind::AgeingOnDisk(AgeingOnDisk::new(ttl, store.table(name, groups)?)),
        }))
    }

    /// Number of keys in memory, those included whose time is over and who were not met since.
    pub fn len(&self) -> usize {
        on!(&self.0, values => Values::len(values))
    }

    /// Whether there is no key in memory.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key.
    ///
    /// # Errors
    /// When the backend cannot read it.
    #[inline]
    pub fn get(&mut self, key: &K, now: Timestamp) -> Result<Option<&V>> {
        on!(&mut self.0, values => Values::get(values, key, now))
    }

    /// The value of a key, to be changed.
    ///
    /// # Errors
    /// When the backend cannot read it.
    #[inline]
    pub fn get_mut(&mut self, key: &K, now: Timestamp) -> Result<Option<&mut V>> {
        on!(&mut self.0, values => Values::get_mut(values, key, now))
    }

    /// The value of a key, to be changed; made by `make` where there is none.
    ///
    /// # Errors
    /// When the backend cannot read it.
    #[inline]
    pub fn get_or_insert_with(
        &mut self,
        key: &K,
        now: Timestamp,
        make: impl FnOnce() -> V,
    ) -> Result<&mut V> {
        on!(&mut self.0, values => Values::get_or_insert_with(values, key, now, make))
    }

    /// Gives each item to `each`, with its key and the value of that, made by `make` where there is none: the backend is
    /// chosen once for all of them.
    ///
    /// # Errors
    /// When the backend cannot read a value; `each` has seen the items before it.
    pub fn update_each<T>(
        &mut self,
        now: Timestamp,
        items: impl Iterator<Item = T>,
        key: impl FnMut(&T) -> K,
        make: impl FnMut() -> V,
        each: impl FnMut(T, K, &mut V),
    ) -> Result<()> {
        on!(&mut self.0, values => Values::update_each(values, now, items, key, make, each))
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
        on!(&mut self.0, values => Values::remove(values, key, now))
    }

    /// Forgets some of what is over: looks at the next `count` keys.
    ///
    /// # Errors
    /// When the backend cannot read or write.
    pub fn sweep(&mut self, count: usize, now: Timestamp) -> Result<()> {
        on!(&mut self.0, values => Values::sweep(values, count, now))
    }

    /// Calls `each` with all values, in no order.
    ///
    /// # Errors
    /// When the backend cannot read one, and what `each` returns.
    pub fn for_each(&mut self, mut each: impl FnMut(&K, &V) -> Result<()>) -> Result<()> {
        on!(&mut self.0, values => Values::for_each(values, |key, _, value| each(key, value)))
    }

    /// Writes all values as the state `name`.
    ///
    /// # Errors
    /// When one cannot be read or written.
    pub fn snapshot(&mut self, name: &str, writer: &mut SnapshotWriter) -> Result<()> {
        let mut table = writer.table::<K, V>(name, self.is_ageing())?;
        on!(&mut self.0, values => {
            Values::for_each(values, |key, touched, value| table.put(key, touched, value))
        })
    }

    /// Adds the values of the state `name`. Those without a time of their last use count as used at `now`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn restore(&mut self, name: &str, reader: &SnapshotReader<'_>, now: Timestamp) -> Result<()> {
        reader.table(name, |key, touched, value| {
            on!(&mut self.0, values => Values::put_back(values, &key, touched.unwrap_or(now), value))
        })
    }

    fn is_ageing(&self) -> bool {
        match &self.0 {
            Kind::InMemory(_) => false,
            Kind::Ageing(_) => true,
            #[cfg(feature = "disk-state")]
            Kind::OnDisk(_) => false,
            #[cfg(feature = "disk-state")]
            Kind::AgeingOnDisk(_) => true,
        }
    }
}
