//! The numbers under which tables are in a tree, and the rows of those that are gone.

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lsm_tree::compaction::filter::{CompactionFilter, Context, Factory, ItemAccessor, Verdict};

/// Which numbers are in use. None is used twice.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    used: Mutex<Used>,
    /// The store is about to be dropped.
    closing: AtomicBool,
}

#[derive(Clone, Debug, Default)]
struct Used {
    next: u32,
    alive: BTreeSet<u32>,
}

impl Used {
    fn is_dead(&self, number: u32) -> bool {
        number < self.next && !self.alive.contains(&number)
    }
}

impl Numbers {
    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number for a table.
    pub(super) fn begin(&self) -> u32 {
        let mut used = self.used();
        let number = used.next;
        used.next = number.checked_add(1).expect("no store clears four billion tables");
        used.alive.insert(number);
        number
    }

    /// Forgets a number, and with it all rows under it.
    pub(super) fn end(&self, number: u32) {
        self.used().alive.remove(&number);
    }

    /// The largest range of numbers without a table around one that has ended.
    pub(super) fn gap(&self, number: u32) -> Range<u32> {
        let used = self.used();
        let before = used.alive.range(..number).next_back().map_or(0, |before| before + 1);
        let behind = used.alive.range(number..).next().copied();
        before..behind.unwrap_or(used.next)
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }
}

/// Leaves the rows of ended tables out when files are merged.
pub(super) struct Living(pub(super) Arc<Numbers>);

impl Factory for Living {
    fn name(&self) -> &'static str {
        "living"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        // Of the tables that begin during the merge no rows are in it.
        let used = self.0.used().clone();
        Box::new(OfLiving { used, numbers: Arc::clone(&self.0), last: None })
    }
}

struct OfLiving {
    used: Used,
    numbers: Arc<Numbers>,
    /// The number of the row before, and whether it has ended.
    last: Option<(u32, bool)>,
}

impl CompactionFilter for OfLiving {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> lsm_tree::Result<Verdict> {
        if self.numbers.is_closing() {
            // The only way out of a merge, which may take long.
            return Err(io::Error::from(io::ErrorKind::Interrupted).into());
        }
        let Some(number) = item.key().first_chunk().map(|bytes| u32::from_be_bytes(*bytes)) else {
            return Ok(Verdict::Keep);
        };
        let dead = match self.last {
            Some((last, dead)) if last == number => dead,
            _ => self.used.is_dead(number),
        };
        self.last = Some((number, dead));
        Ok(if dead { Verdict::Destroy } else { Verdict::Keep })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_gap_around_ended_numbers() {
        let numbers = Numbers::default();
        for _ in 0..6 {
            numbers.begin();
        }
        for number in [1, 2, 3, 5] {
            numbers.end(number);
        }
        assert_eq!(numbers.gap(2), 1..4);
        assert_eq!(numbers.gap(5), 5..6);
        numbers.end(0);
        assert_eq!(numbers.gap(3), 0..4);
    }
}
