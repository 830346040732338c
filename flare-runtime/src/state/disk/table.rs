//! One state of all keys of a subtask, on disk.

use std::fmt;
use std::mem::needs_drop;

use hashbrown::hash_table::{Entry as Place, OccupiedEntry as Found};

use super::entries::{Entries, Entry, Origin};
use super::memory::Share;
use super::rows::Rows;
use crate::error::Result;
use crate::model::Key;
use crate::state::Kept;

/// Values by key: the ones in use in memory, the others on disk, and all in memory while there is room.
///
/// Every method may read from and write to the disk, and fails when that fails, or when a value cannot be encoded. Then
/// the table still holds what it did, in memory or on disk.
pub struct DiskTable<K, V> {
    pub(super) rows: Rows<K, V>,
    pub(super) entries: Entries<K, V>,
    pub(super) share: Share,
    pub(super) sweep: Sweep,
}

/// Where the sweep of the rows on disk goes on.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    /// The key of the last row.
    pub(super) after: Option<Vec<u8>>,
    /// Rows that are to be looked at.
    pub(super) due: usize,
}

/// What an entry is looked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Read,
    Change,
}

impl<K: Key, V: Kept> DiskTable<K, V> {
    pub(super) fn new(rows: Rows<K, V>, share: Share) -> Self {
        Self { rows, entries: Entries::new(), share, sweep: Sweep::default() }
    }

    /// Number of keys in memory.
    pub fn in_memory(&self) -> usize {
        self.entries.len()
    }

    /// The value of a key.
    ///
    /// # Errors
    /// See [`DiskTable`].
    #[inline]
    pub fn get(&mut self, key: &K) -> Result<Option<&V>> {
        Ok(self.find(key, Use::Read)?.and_then(|entry| entry.value.as_ref()))
    }

    /// The value of a key, to be changed.
    ///
    /// # Errors
    /// See [`DiskTable`].
    #[inline]
    pub fn get_mut(&mut self, key: &K) -> Result<Option<&mut V>> {
        Ok(self.find(key, Use::Change)?.and_then(|entry| entry.value.as_mut()))
    }

    /// The value of a key, to be changed; made by `make` where there is none.
    ///
    /// # Errors
    /// See [`DiskTable`].
    #[inline]
    pub fn get_or_insert_with(&mut self, key: &K, make: impl FnOnce() -> V) -> Result<&mut V> {
        if self.share.is_over() {
            self.make_room()?;
        }
        let entry = match self.entries.place(key) {
            Place::Occupied(known) => used(known),
            Place::Vacant(free) => {
                let entry = load(&mut self.rows, key)?;
                self.share.take(entry.bytes());
                free.insert(entry).into_mut()
            }
        };
        match entry.value {
            Some(_) => note_change(entry, &mut self.rows, &mut self.share)?,
            None => fill(entry, make(), &mut self.rows, &mut self.share)?,
        }
        Ok(entry.value.as_mut().expect("there was a value, or one was made"))
    }

    /// Sets the value of a key.
    ///
    /// # Errors
    /// See [`DiskTable`].
    pub fn insert(&mut self, key: &K, value: V) -> Result<()> {
        if self.share.is_over() {
            self.make_room()?;
        }
        let entry = match self.entries.place(key) {
            Place::Occupied(known) => used(known),
            Place::Vacant(free) => {
                let origin = if self.rows.is_on_disk() { Origin::Blind } else { Origin::Absent };
                let entry = Entry::new(key.clone(), None, origin);
                self.share.take(entry.bytes());
                free.insert(entry).into_mut()
            }
        };
        fill(entry, value, &mut self.rows, &mut self.share)
    }

    /// Forgets a key; returns its value.
    ///
    /// # Errors
    /// See [`DiskTable`].
    pub fn remove(&mut self, key: &K) -> Result<Option<V>> {
        if self.share.is_over() {
            self.make_room()?;
        }
        let found = seek(&mut self.entries, &mut self.rows, &mut self.share, key)?;
        let Some(mut found) = found else { return Ok(None) };
        if !found.get().is_stored() {
            let entry = found.remove().0;
            self.share.give(entry.bytes());
            return Ok(entry.value);
        }
        let entry = found.get_mut();
        if entry.value.is_some() {
            entry.change();
        }
        Ok(entry.value.take())
    }

    /// Forgets all keys.
    ///
    /// # Errors
    /// See [`DiskTable`].
    pub fn clear(&mut self) -> Result<()> {
        self.rows.clear();
        self.entries = Entries::new();
        self.share.give(self.share.held());
        self.sweep = Sweep::default();
        Ok(())
    }

    /// Puts everything on disk, for a table that is not used for a while: the others cannot do that for it, and have
    /// less memory until it is done.
    ///
    /// # Errors
    /// See [`DiskTable`].
    pub fn rest(&mut self) -> Result<()> {
        self.put_away(u64::MAX)?;
        self.entries = Entries::new();
        Ok(())
    }

    /// The entry of a key that is in memory or may be on disk.
    #[inline]
    fn find(&mut self, key: &K, how: Use) -> Result<Option<&mut Entry<K, V>>> {
        if self.share.is_over() {
            self.make_room()?;
        }
        let found = seek(&mut self.entries, &mut self.rows, &mut self.share, key)?;
        let Some(entry) = found.map(Found::into_mut) else { return Ok(None) };
        if how == Use::Change && entry.value.is_some() {
            note_change(entry, &mut self.rows, &mut self.share)?;
        }
        Ok(Some(entry))
    }

    #[cold]
    #[inline(never)]
    fn make_room(&mut self) -> Result<()> {
        // A third is enough for what is used again and again; larger batches make fewer merges.
        self.put_away(self.share.held() / 3 * 2)
    }

    /// Puts entries that make up so many bytes out of memory, the coldest first.
    fn put_away(&mut self, bytes: u64) -> Result<()> {
        let leaving = self.entries.coldest(bytes);
        let entries = leaving.iter().filter_map(|bucket| self.entries.at(*bucket));
        let changed = entries.filter(|entry| entry.is_changed());
        self.rows.write(changed.map(|entry| (&entry.key, entry.value.as_ref())))?;
        let taken = leaving.into_iter().filter_map(|bucket| self.entries.take(bucket));
        let bytes = taken.map(|entry| entry.bytes()).sum();
        self.share.give(bytes);
        self.entries.settle();
        Ok(())
    }
}

/// Where the entry of a key is; none if there can be no value.
#[inline]
fn seek<'a, K: Key, V: Kept>(
    entries: &'a mut Entries<K, V>,
    rows: &mut Rows<K, V>,
    share: &mut Share,
    key: &K,
) -> Result<Option<Found<'a, Entry<K, V>>>> {
    match entries.place(key) {
        Place::Occupied(mut found) => {
            found.get_mut().touch();
            Ok(Some(found))
        }
        Place::Vacant(_) if !rows.is_on_disk() => Ok(None),
        Place::Vacant(free) => {
            let entry = load(rows, key)?;
            share.take(entry.bytes());
            Ok(Some(free.insert(entry)))
        }
    }
}

/// An entry that was in memory before this use.
#[inline]
fn used<K, V>(known: Found<'_, Entry<K, V>>) -> &mut Entry<K, V> {
    let entry = known.into_mut();
    entry.touch();
    entry
}

/// What the disk knows of a key.
#[cold]
#[inline(never)]
fn load<K: Key, V: Kept>(rows: &mut Rows<K, V>, key: &K) -> Result<Entry<K, V>> {
    let value = rows.read(key)?;
    let origin = if value.is_some() { Origin::Read } else { Origin::Absent };
    let mut entry = Entry::new(key.clone(), value, origin);
    measure(&mut entry, rows)?;
    Ok(entry)
}

/// Sets an entry's value.
#[inline]
fn fill<K: Key, V: Kept>(
    entry: &mut Entry<K, V>,
    value: V,
    rows: &mut Rows<K, V>,
    share: &mut Share,
) -> Result<()> {
    entry.value = Some(value);
    entry.change();
    weigh(entry, rows, share)
}

/// Notes that an entry's value may be changed.
#[inline]
fn note_change<K: Key, V: Kept>(
    entry: &mut Entry<K, V>,
    rows: &mut Rows<K, V>,
    share: &mut Share,
) -> Result<()> {
    entry.change();
    if needs_drop::<V>() && entry.is_due() {
        weigh(entry, rows, share)?;
    }
    Ok(())
}

/// Measures an entry, and accounts for it.
#[inline]
fn weigh<K: Key, V: Kept>(entry: &mut Entry<K, V>, rows: &mut Rows<K, V>, share: &mut Share) -> Result<()> {
    if needs_drop::<(K, V)>() {
        share.give(entry.bytes());
        let measured = measure(entry, rows);
        share.take(entry.bytes());
        measured?;
    }
    Ok(())
}

/// Estimates what an entry takes on the heap: twice what it takes on disk, since numbers are larger in memory, and
/// lists have room to grow.
fn measure<K: Key, V: Kept>(entry: &mut Entry<K, V>, rows: &mut Rows<K, V>) -> Result<()> {
    let mut bytes = 0;
    if needs_drop::<K>() {
        bytes += rows.measure(&entry.key)?;
    }
    if let (true, Some(value)) = (needs_drop::<V>(), &entry.value) {
        bytes += rows.measure(value)?;
    }
    entry.set_heap(2 * bytes);
    Ok(())
}

impl<K, V> fmt::Debug for DiskTable<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskTable").field("in_memory", &self.share.held()).finish_non_exhaustive()
    }
}
