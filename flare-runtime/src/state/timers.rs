//! Timers by key, deduplicated.

use std::collections::BTreeMap;
use std::hash::Hash;

use indexmap::IndexSet;

use super::snapshot::{SnapshotReader, SnapshotWriter};
use super::table::hasher;
use crate::error::Result;
use crate::model::{Key, Timestamp};

/// The name under which timers of event time are kept.
pub const EVENT_TIMERS: &str = "flare.timers.event";

/// The name under which timers of processing time are kept.
pub const PROCESSING_TIMERS: &str = "flare.timers.processing";

/// The timers of one subtask in one time domain: at a moment there is at most one for each key.
#[derive(Clone, Debug)]
pub struct Timers<K>(BTreeMap<Timestamp, Moment<K>>);

/// The timers of one moment; those before `next` have fired.
#[derive(Clone, Debug)]
struct Moment<K> {
    keys: IndexSet<K, ahash::RandomState>,
    next: usize,
}

impl<K> Default for Moment<K> {
    fn default() -> Self {
        Self { keys: IndexSet::with_hasher(hasher()), next: 0 }
    }
}

impl<K: Hash + Eq + Clone> Moment<K> {
    fn set(&mut self, key: &K) {
        match self.keys.get_index_of(key) {
            None => drop(self.keys.insert(key.clone())),
            // It has fired, and its own function sets it anew.
            Some(index) if index < self.next => {
                self.keys.shift_remove_index(index);
                self.next -= 1;
                self.keys.insert(key.clone());
            }
            Some(_) => {}
        }
    }

    fn delete(&mut self, key: &K) {
        if let Some(index) = self.keys.get_index_of(key).filter(|index| *index >= self.next) {
            self.keys.swap_remove_index(index);
        }
    }

    fn take(&mut self) -> Option<K> {
        let key = self.keys.get_index(self.next)?.clone();
        self.next += 1;
        Some(key)
    }
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Hash + Eq + Clone> Timers<K> {
    /// Sets a timer; one that is set already stays as it is.
    pub fn set(&mut self, at: Timestamp, key: &K) {
        self.0.entry(at).or_default().set(key);
    }

    /// Deletes a timer, if there is one.
    pub fn delete(&mut self, at: Timestamp, key: &K) {
        let Some(moment) = self.0.get_mut(&at) else { return };
        moment.delete(key);
        if moment.keys.len() == moment.next {
            self.0.remove(&at);
        }
    }

    /// When the next timer is due; never later than that.
    pub fn next(&self) -> Option<Timestamp> {
        self.0.first_key_value().map(|(at, _)| *at)
    }

    /// Takes the next timer that is due at `now`, by time, and at one moment in an order that follows from the calls.
    pub fn take_due(&mut self, now: Timestamp) -> Option<(Timestamp, K)> {
        loop {
            let mut first = self.0.first_entry().filter(|first| *first.key() <= now)?;
            match first.get_mut().take() {
                Some(key) => return Some((*first.key(), key)),
                None => drop(first.remove()),
            }
        }
    }

    /// All timers.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, &K)> {
        self.0.iter().flat_map(|(at, moment)| moment.keys.iter().skip(moment.next).map(|key| (*at, key)))
    }
}

impl<K: Key> Timers<K> {
    /// Writes all timers as the state `name`.
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn snapshot(&self, name: &str, writer: &mut SnapshotWriter) -> Result<()> {
        let mut table = writer.table::<K, Timestamp>(name, false)?;
        self.iter().try_for_each(|(at, key)| table.put(key, Timestamp::MIN, &at))
    }

    /// Sets the timers of the state `name`.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn restore(&mut self, name: &str, reader: &SnapshotReader<'_>) -> Result<()> {
        reader.table(name, |key, _, at| {
            self.set(at, &key);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_each_once_in_order() {
        let at = Timestamp::from_millis;
        let mut timers = Timers::default();
        for (time, key) in [(5, "b"), (3, "a"), (5, "a"), (5, "b"), (9, "c"), (4, "gone"), (5, "gone")] {
            timers.set(at(time), &key);
        }
        timers.delete(at(4), &"gone");
        timers.delete(at(5), &"gone");
        assert_eq!(timers.iter().count(), 4);
        let due: Vec<_> = std::iter::from_fn(|| timers.take_due(at(5))).collect();
        assert_eq!(due, [(at(3), "a"), (at(5), "b"), (at(5), "a")]);
        assert_eq!(timers.next(), Some(at(9)));
    }

    #[test]
    fn fires_again_when_it_is_set_anew_while_it_fires() {
        let at = Timestamp::from_millis;
        let mut timers = Timers::default();
        timers.set(at(1), &"a");
        timers.set(at(1), &"b");
        assert_eq!(timers.take_due(at(1)), Some((at(1), "a")));
        timers.set(at(1), &"a");
        timers.delete(at(1), &"b");
        assert_eq!(timers.take_due(at(1)), Some((at(1), "a")));
        assert_eq!(timers.take_due(at(1)), None);
        assert_eq!(timers.next(), None);
    }
}
