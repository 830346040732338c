//! The entries of a table that are in memory.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Place;

use crate::model::Key;
use crate::state::table::hasher;

/// What is in memory about one key.
pub(super) struct Entry<K, V> {
    pub(super) key: K,
    /// `None` where the key is known to have no value.
    pub(super) value: Option<V>,
    /// Estimated size of what key and value point to.
    heap: u32,
    marks: Marks,
}

/// Three marks, and behind them the number of accesses that may have changed the value.
#[derive(Clone, Copy)]
struct Marks(u32);

/// The value is not what is on disk.
const CHANGED: u32 = 1;
/// The key may be on disk.
const STORED: u32 = 2;
/// Used since the hand came by.
const USED: u32 = 4;
/// One change.
const CHANGE: u32 = 8;

/// How an entry comes into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// As it is on disk.
    Read,
    /// Not on disk.
    Absent,
    /// Put in without a look at the disk.
    Blind,
}

impl<K, V> Entry<K, V> {
    pub(super) fn new(key: K, value: Option<V>, origin: Origin) -> Self {
        let marks = match origin {
            Origin::Read => STORED,
            Origin::Absent => 0,
            Origin::Blind => CHANGED | STORED,
        };
        Self { key, value, heap: 0, marks: Marks(marks) }
    }

    /// Notes a use other than the first.
    #[inline]
    pub(super) fn touch(&mut self) {
        self.marks.0 |= USED;
    }

    /// Notes that the value is not what is on disk.
    #[inline]
    pub(super) fn change(&mut self) {
        self.marks.0 |= CHANGED;
    }

    /// Counts an access that may change the value. Says whether it is to be measured: when the count has doubled, so
    /// that it costs little and a list that grows piece by piece is not taken for less than half of its size.
    #[inline]
    pub(super) fn is_due(&mut self) -> bool {
        self.marks.0 = self.marks.0.checked_add(CHANGE).unwrap_or(self.marks.0);
        let changes = self.marks.0 / CHANGE;
        changes >= 4 && changes.is_power_of_two()
    }

    /// Sets the estimated size of what key and value point to.
    pub(super) fn set_heap(&mut self, bytes: usize) {
        self.heap = bytes.try_into().unwrap_or(u32::MAX);
    }

    /// Whether the key may be on disk, so that it is forgotten there too.
    pub(super) fn is_stored(&self) -> bool {
        self.marks.0 & STORED != 0
    }

    pub(super) fn is_changed(&self) -> bool {
        self.marks.0 & CHANGED != 0
    }

    /// Its room in the hash table, of which a third is free at an average, and on the heap.
    pub(super) fn bytes(&self) -> u64 {
        (size_of::<Self>() as u64 + 1) * 3 / 2 + u64::from(self.heap)
    }
}

/// Entries by key.
pub(super) struct Entries<K, V> {
    table: HashTable<Entry<K, V>>,
    hasher: ahash::RandomState,
    /// The bucket where the search for cold entries goes on.
    hand: usize,
    /// The bucket where a sweep goes on.
    swept: usize,
}

impl<K: Key, V> Entries<K, V> {
    /// Number of keys.
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn new() -> Self {
        Self { table: HashTable::new(), hasher: hasher(), hand: 0, swept: 0 }
    }

    /// Where the entry of a key is or would be.
    #[inline]
    pub(super) fn place(&mut self, key: &K) -> Place<'_, Entry<K, V>> {
        let hasher = &self.hasher;
        let same = |entry: &Entry<K, V>| entry.key == *key;
        self.table.entry(hasher.hash_one(key), same, |entry| hasher.hash_one(&entry.key))
    }

    pub(super) fn get(&self, key: &K) -> Option<&Entry<K, V>> {
        self.table.find(self.hasher.hash_one(key), |entry| entry.key == *key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry<K, V>> {
        self.table.iter()
    }

    /// Entries that make up `bytes`, given as their buckets, which stay theirs until something is put in: first those
    /// that were not used since the hand came by.
    pub(super) fn coldest(&mut self, bytes: u64) -> Vec<usize> {
        let (mut cold, mut used, mut sum) = (Vec::new(), Vec::new(), 0);
        let buckets = self.table.num_buckets();
        for _ in 0..buckets {
            if sum >= bytes {
                return cold;
            }
            self.hand = (self.hand + 1) % buckets;
            let Some(entry) = self.table.get_bucket_mut(self.hand) else { continue };
            if entry.marks.0 & USED == 0 {
                sum += entry.bytes();
                cold.push(self.hand);
            } else {
                entry.marks.0 &= !USED;
                used.push(self.hand);
            }
        }
        for bucket in used {
            if sum >= bytes {
                break;
            }
            sum += self.table.get_bucket(bucket).map_or(0, Entry::bytes);
            cold.push(bucket);
        }
        cold
    }

    pub(super) fn at(&self, bucket: usize) -> Option<&Entry<K, V>> {
        self.table.get_bucket(bucket)
    }

    /// Takes an entry out.
    pub(super) fn take(&mut self, bucket: usize) -> Option<Entry<K, V>> {
        self.table.get_bucket_entry(bucket).ok().map(|entry| entry.remove().0)
    }

    /// Puts all entries in anew, since where many were taken out a search takes long to end.
    pub(super) fn settle(&mut self) {
        let entries: Vec<_> = self.table.drain().collect();
        for entry in entries {
            let hasher = &self.hasher;
            self.table.insert_unique(hasher.hash_one(&entry.key), entry, |entry| hasher.hash_one(&entry.key));
        }
    }

    /// The buckets of the next `count` entries.
    pub(super) fn next(&mut self, count: usize) -> Vec<usize> {
        let buckets = self.table.num_buckets();
        let mut found = Vec::new();
        for _ in 0..buckets {
            if found.len() >= count {
                break;
            }
            self.swept = (self.swept + 1) % buckets;
            found.extend(self.table.get_bucket(self.swept).map(|_| self.swept));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_used_again_and_again() {
        let mut entries = Entries::new();
        for key in 0..100 {
            if let Place::Vacant(free) = entries.place(&key) {
                free.insert(Entry::new(key, Some(key), Origin::Absent));
            }
        }
        for key in 0..20 {
            if let Place::Occupied(mut known) = entries.place(&key) {
                known.get_mut().touch();
            }
        }
        let bytes = Entry::new(0, Some(0), Origin::Absent).bytes();
        for bucket in entries.coldest(80 * bytes) {
            entries.take(bucket);
        }
        entries.settle();
        assert!((0..20).all(|key| entries.get(&key).is_some()));
        assert_eq!(entries.iter().count(), 20);
        assert_eq!(entries.coldest(u64::MAX).len(), 20, "if all are wanted");
    }
}
