//! One subtask's own small cache in front of the shared one.

use std::hash::Hash;

use ahash::RandomState;
use tokio::time::Instant;

use super::cache::{Cache, Entry, Found};

/// The rows that one subtask has used last, found without a lock or an atomic operation.
///
/// Each row keeps the time at which it was loaded, so that it is served no longer than the settings say. Every so often
/// the shared cache is asked all the same: it learns which rows are in use, and the subtask gets those that another one
/// has renewed. About as many rows as the shared cache may hold, but at most 16,384, are kept here beside it.
pub(super) struct Front<K, V> {
    shared: Cache<K, V>,
    hasher: RandomState,
    /// Pairs of slots: a key stands in one of the two that its hash chooses.
    slots: Vec<Option<Slot<K, V>>>,
}

struct Slot<K, V> {
    key: K,
    entry: Entry<V>,
    uses: u8,
}

impl<K, V> Front<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    const LARGEST: u64 = 16_384;
    /// Uses of a row after which the shared cache is asked again.
    const USES: u8 = 64;

    /// An empty cache in front of `shared`.
    pub(super) fn new(shared: Cache<K, V>) -> Self {
        let count = match shared.capacity() {
            0 => 0,
            capacity => capacity.min(Self::LARGEST).next_power_of_two().max(2),
        };
        let slots = (0..count).map(|_| None).collect();
        Self { shared, hasher: RandomState::new(), slots }
    }

    pub(super) fn get(&mut self, key: &K, now: Instant) -> Found<V> {
        if self.slots.is_empty() {
            return Found::Nothing;
        }
        let hash = usize::try_from(self.hasher.hash_one(key) & u64::from(u32::MAX)).unwrap_or_default();
        let home = hash & (self.slots.len() - 1);
        for index in [home, home ^ 1] {
            if let Some(slot) = self.slots[index].as_mut().filter(|slot| slot.key == *key) {
                let found = self.shared.judge(&slot.entry, now);
                if slot.uses < Self::USES && matches!(found, Found::Fresh(_)) {
                    slot.uses += 1;
                    return found;
                }
                self.slots[index] = None;
                break;
            }
        }
        let Some(entry) = self.shared.entry(key) else { return Found::Nothing };
        let found = self.shared.judge(&entry, now);
        if matches!(found, Found::Fresh(_)) {
            // Whoever stood here first makes room last.
            self.slots.swap(home, home ^ 1);
            self.slots[home] = Some(Slot { key: key.clone(), entry, uses: 0 });
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::super::settings::CacheSettings;
    use super::*;

    fn cache(capacity: u64) -> Cache<u32, &'static str> {
        let (ttl, miss_ttl) = (Duration::from_secs(60), Duration::from_secs(5));
        Cache::new(CacheSettings { capacity, ttl, miss_ttl, refresh_after: None, stale: Duration::ZERO })
    }

    fn fresh(row: &'static str) -> Found<&'static str> {
        Found::Fresh(Some(Arc::new(row)))
    }

    #[test]
    fn serves_rows_and_misses_as_long_as_set() {
        let (cache, now) = (cache(100), Instant::now());
        let mut front = Front::new(cache.clone());
        cache.put(1, Some(Arc::new("one")), now);
        cache.put(2, None, now);
        for _ in 0..2 {
            assert_eq!(front.get(&1, now), fresh("one"));
            assert_eq!(front.get(&2, now), Found::Fresh(None));
        }
        let later = now + Duration::from_secs(5);
        assert_eq!(front.get(&2, later), Found::Nothing);
        assert_eq!(front.get(&1, later), fresh("one"));
        assert_eq!(front.get(&1, now + Duration::from_secs(60)), Found::Nothing);
    }

    #[test]
    fn gets_a_renewed_row_in_the_end() {
        let (cache, now) = (cache(100), Instant::now());
        let mut front = Front::new(cache.clone());
        cache.put(1, Some(Arc::new("old")), now);
        assert_eq!(front.get(&1, now), fresh("old"));
        cache.put(1, Some(Arc::new("new")), now);
        let gets = (0..100).map(|_| front.get(&1, now)).filter(|found| *found == fresh("old"));
        assert_eq!(gets.count(), usize::from(Front::<u32, &str>::USES));
    }

    #[test]
    fn finds_every_key_although_slots_are_few() {
        let (cache, now) = (cache(4), Instant::now());
        let mut front = Front::new(cache.clone());
        for key in 0..4 {
            cache.put(key, Some(Arc::new("row")), now);
        }
        for key in (0..4).cycle().take(40) {
            assert_eq!(front.get(&key, now), fresh("row"));
        }
    }

    #[test]
    fn holds_nothing_without_a_cache() {
        let mut front = Front::new(cache(0));
        assert_eq!(front.get(&1, Instant::now()), Found::Nothing);
    }
}
