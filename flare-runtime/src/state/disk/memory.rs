//! The memory that the tables of one store share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much there is and how much is in use, by estimation.
#[derive(Debug)]
pub(super) struct Memory {
    limit: u64,
    used: AtomicU64,
    holders: AtomicU64,
}

impl Memory {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0), holders: AtomicU64::new(0) }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

/// What one table holds of it; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    memory: Arc<Memory>,
    held: u64,
    is_over: bool,
}

impl Share {
    pub(super) fn new(memory: Arc<Memory>) -> Self {
        Self { memory, held: 0, is_over: false }
    }

    /// Whether the table that holds this is to make room.
    #[inline]
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(super) fn held(&self) -> u64 {
        self.held
    }

    pub(super) fn take(&mut self, bytes: u64) {
        if self.held == 0 && bytes > 0 {
            self.memory.holders.fetch_add(1, Ordering::Relaxed);
        }
        self.held += bytes;
        self.memory.used.fetch_add(bytes, Ordering::Relaxed);
        self.is_over = self.exceeds();
    }

    pub(super) fn give(&mut self, bytes: u64) {
        let bytes = bytes.min(self.held);
        self.held -= bytes;
        self.memory.used.fetch_sub(bytes, Ordering::Relaxed);
        if self.held == 0 && bytes > 0 {
            self.memory.holders.fetch_sub(1, Ordering::Relaxed);
        }
        self.is_over = self.is_over && self.exceeds();
    }

    /// Only the table in use can, and others that rest may hold everything. So a quarter of a fair part is its own in
    /// any case: it writes back in batches, and all tables together stay below three times the limit even when
    /// hundreds were filled one after the other.
    fn exceeds(&self) -> bool {
        let Memory { limit, used, holders } = &*self.memory;
        let fair = limit / holders.load(Ordering::Relaxed).max(1);
        used.load(Ordering::Relaxed) > *limit && self.held > fair / 4
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give(self.held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_every_table_fill_a_batch() {
        let memory = Arc::new(Memory::new(1000));
        let mut resting = Share::new(Arc::clone(&memory));
        resting.take(1001);
        assert!(resting.is_over());
        let mut active = Share::new(Arc::clone(&memory));
        active.take(125);
        assert!(!active.is_over());
        active.take(1);
        assert!(active.is_over());
        drop(resting);
        active.take(1);
        assert!(!active.is_over());
        drop(active);
        assert_eq!(memory.used(), 0);
    }

    #[test]
    fn stays_near_the_limit_with_many_tables() {
        let memory = Arc::new(Memory::new(1_000_000));
        let mut shares = Vec::new();
        for _ in 0..300 {
            let mut share = Share::new(Arc::clone(&memory));
            while !share.is_over() {
                share.take(10);
            }
            shares.push(share);
        }
        assert!(memory.used() < 3_000_000, "{}", memory.used());
    }
}
