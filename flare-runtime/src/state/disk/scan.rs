//! Everything in a table, one entry after the other.

use std::cmp::Ordering;

use hashbrown::hash_table::Entry as Place;

use super::entries::{Entry, Origin};
use super::rows::group;
use super::table::{DiskTable, Sweep};
use crate::error::Result;
use crate::model::Key;
use crate::state::Kept;

/// Rows on disk that are swept at a time, since the way to the first of them takes as long as some hundred more.
const SWEPT_TOGETHER: usize = 1000;

impl<K: Key, V: Kept> DiskTable<K, V> {
    /// Whether there is no key.
    ///
    /// # Errors
    /// See [`DiskTable`].
    pub fn is_empty(&mut self) -> Result<bool> {
        if self.entries.iter().any(|entry| entry.value.is_some()) {
            return Ok(false);
        }
        for row in self.rows.scan(None) {
            let key = self.rows.key(&row?.0)?;
            // What is in memory has no value, as was just seen.
            if self.entries.get(&key).is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Calls `each` with the key group, key and value of every entry, in the order of key groups, until it fails.
    ///
    /// # Errors
    /// Those of `each`, and see [`DiskTable`].
    pub fn for_each(&mut self, mut each: impl FnMut(usize, &K, &V) -> Result<()>) -> Result<()> {
        let in_memory = InMemory::of(self)?;
        let mut cached = in_memory.rows().peekable();
        for row in self.rows.scan(None) {
            let (bytes, value) = row?;
            let mut is_newer = false;
            while let Some((key, entry)) = cached.next_if(|(key, _)| *key <= &*bytes) {
                is_newer = key.cmp(&*bytes) == Ordering::Equal;
                show(key, entry, &mut each)?;
            }
            if !is_newer {
                each(group(&bytes), &self.rows.key(&bytes)?, &self.rows.value(&bytes, &value)?)?;
            }
        }
        cached.try_for_each(|(key, entry)| show(key, entry, &mut each))
    }

    /// Looks at about `count` further entries, and forgets those for which `over` is true.
    ///
    /// Those on disk are looked at by the thousand, when so many are due.
    ///
    /// # Errors
    /// See [`DiskTable`].
    pub fn sweep(&mut self, count: usize, mut over: impl FnMut(&V) -> bool) -> Result<()> {
        for bucket in self.entries.next(count) {
            let is_over =
                self.entries.at(bucket).and_then(|entry| entry.value.as_ref()).is_some_and(&mut over);
            if is_over {
                self.forget(bucket);
            }
        }
        if !self.rows.is_on_disk() {
            return Ok(());
        }
        self.sweep.due += count;
        if self.sweep.due < SWEPT_TOGETHER {
            return Ok(());
        }
        let Sweep { after, due } = std::mem::take(&mut self.sweep);
        let (gone, after) = self.look(after, due, over)?;
        self.sweep.after = after;
        gone.into_iter().for_each(|key| self.bury(key));
        Ok(())
    }

    /// Forgets an entry in memory.
    fn forget(&mut self, bucket: usize) {
        let Some(mut entry) = self.entries.take(bucket) else { return };
        self.share.give(entry.bytes());
        if entry.is_stored() {
            entry.value = None;
            self.bury(entry.key);
        }
    }

    /// Keys of `count` rows behind `after` for which `over` is true, and the key of the last row if there are more.
    fn look(
        &self,
        after: Option<Vec<u8>>,
        count: usize,
        mut over: impl FnMut(&V) -> bool,
    ) -> Result<(Vec<K>, Option<Vec<u8>>)> {
        let (mut gone, mut last, mut seen) = (Vec::new(), None, 0);
        for row in self.rows.scan(after).take(count) {
            let (bytes, value) = row?;
            let key = self.rows.key(&bytes)?;
            // What is in memory is newer, and swept there.
            if self.entries.get(&key).is_none() && over(&self.rows.value(&bytes, &value)?) {
                gone.push(key);
            }
            last = Some(bytes);
            seen += 1;
        }
        Ok((gone, last.filter(|_| seen == count).map(|bytes| bytes.to_vec())))
    }

    /// Notes that a key on disk has no value any more.
    fn bury(&mut self, key: K) {
        if let Place::Vacant(free) = self.entries.place(&key) {
            let entry = Entry::new(key, None, Origin::Blind);
            self.share.take(entry.bytes());
            free.insert(entry);
        }
    }
}

/// What is in memory, in the order of the rows on disk.
struct InMemory<'a, K, V> {
    bytes: Vec<u8>,
    rows: Vec<(usize, usize, &'a Entry<K, V>)>,
}

impl<'a, K: Key, V: Kept> InMemory<'a, K, V> {
    fn of(table: &'a DiskTable<K, V>) -> Result<Self> {
        let mut bytes = Vec::new();
        let mut rows = Vec::new();
        for entry in table.entries.iter() {
            let start = bytes.len();
            table.rows.append(&mut bytes, &entry.key)?;
            rows.push((start, bytes.len(), entry));
        }
        rows.sort_unstable_by(|left, right| bytes[left.0..left.1].cmp(&bytes[right.0..right.1]));
        Ok(Self { bytes, rows })
    }

    fn rows(&self) -> impl Iterator<Item = (&[u8], &'a Entry<K, V>)> {
        self.rows.iter().map(|(start, end, entry)| (&self.bytes[*start..*end], *entry))
    }
}

/// Calls `each`, if the entry has a value.
fn show<K: Key, V>(
    key: &[u8],
    entry: &Entry<K, V>,
    each: &mut impl FnMut(usize, &K, &V) -> Result<()>,
) -> Result<()> {
    entry.value.as_ref().map_or(Ok(()), |value| each(group(key), &entry.key, value))
}
