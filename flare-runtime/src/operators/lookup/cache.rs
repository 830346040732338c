//! Rows by key, with their age.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use tokio::time::Instant;

use super::settings::CacheSettings;

/// A row and its age.
#[derive(Debug)]
pub(super) struct Entry<V> {
    /// `None` remembers that there is no row.
    row: Option<Arc<V>>,
    loaded_at: Instant,
}

impl<V> Clone for Entry<V> {
    fn clone(&self) -> Self {
        Self { row: self.row.clone(), loaded_at: self.loaded_at }
    }
}

/// What the cache knows of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<V> {
    /// A row, or that there is none.
    Fresh(Option<Arc<V>>),
    /// The same, old enough to be loaded anew meanwhile.
    Ageing(Option<Arc<V>>),
    /// Nothing that may be served.
    Nothing,
}

/// The cache of one lookup; clones share it.
///
/// Ages are taken from the clock that the job runs on, once a batch, so that an entry cannot expire between a check
/// and the read; moka's own expiry only frees memory.
pub struct Cache<K, V> {
    entries: Option<moka::sync::Cache<K, Entry<V>, RandomState>>,
    settings: CacheSettings,
}

impl<K, V> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone(), settings: self.settings.clone() }
    }
}

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    /// An empty cache.
    pub fn new(settings: CacheSettings) -> Self {
        let kept = settings.ttl.max(settings.miss_ttl) + settings.stale;
        let entries = (settings.capacity > 0).then(|| {
            let builder = moka::sync::Cache::builder().max_capacity(settings.capacity);
            builder.time_to_live(kept.min(Self::LONGEST)).build_with_hasher(RandomState::new())
        });
        Self { entries, settings }
    }

    /// moka refuses more than a thousand years.
    const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

    /// Rows and misses that are kept at most.
    pub(super) fn capacity(&self) -> u64 {
        self.settings.capacity
    }

    pub(super) fn entry(&self, key: &K) -> Option<Entry<V>> {
        self.entries.as_ref()?.get(key)
    }

    /// Whether an entry may be served.
    pub(super) fn judge(&self, entry: &Entry<V>, now: Instant) -> Found<V> {
        let age = now.saturating_duration_since(entry.loaded_at);
        let limit = if entry.row.is_some() { self.settings.ttl } else { self.settings.miss_ttl };
        if age >= limit {
            Found::Nothing
        } else if self.settings.refresh_after.is_some_and(|after| age >= after) {
            Found::Ageing(entry.row.clone())
        } else {
            Found::Fresh(entry.row.clone())
        }
    }

    /// A row that may be served because the request for a newer one failed.
    pub(super) fn stale(&self, key: &K, now: Instant) -> Option<Arc<V>> {
        if self.settings.stale.is_zero() {
            return None;
        }
        let entry = self.entries.as_ref()?.get(key)?;
        let age = now.saturating_duration_since(entry.loaded_at);
        entry.row.filter(|_| age < self.settings.ttl + self.settings.stale)
    }

    pub(super) fn put(&self, key: K, row: Option<Arc<V>>, now: Instant) {
        if let Some(entries) = &self.entries {
            entries.insert(key, Entry { row, loaded_at: now });
        }
    }
}
