//! Records to be read again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// Offsets by the names of splits.
pub type Offsets = BTreeMap<String, BTreeSet<i64>>;

/// A record whose bytes are at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// The bytes.
    pub payload: Vec<u8>,
    /// The split where it was read first; empty when unknown.
    pub split: String,
    /// Its offset there.
    pub offset: i64,
}

/// What a source gives in a replay: records at hand, and records to be found again.
#[derive(Debug, Default)]
pub struct Replay {
    records: Vec<Replayed>,
    offsets: Offsets,
    missing: Mutex<Offsets>,
}

impl Replay {
    /// A replay of `records`, and of what the source finds at `offsets`.
    pub fn new(records: Vec<Replayed>, offsets: Offsets) -> Self {
        let missing = Mutex::new(offsets.clone());
        Self { records, offsets, missing }
    }

    /// The records at hand.
    pub fn records(&self) -> &[Replayed] {
        &self.records
    }

    /// Where the other records are.
    pub fn offsets(&self) -> &Offsets {
        &self.offsets
    }

    /// Notes that the record was found.
    pub fn found(&self, split: &str, offset: i64) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(offsets) = missing.get_mut(split) {
            offsets.remove(&offset);
            if offsets.is_empty() {
                missing.remove(split);
            }
        }
    }

    /// Where nothing was found so far.
    pub fn missing(&self) -> Offsets {
        self.missing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_was_not_found() {
        let offsets = Offsets::from([("orders/0".to_owned(), BTreeSet::from([3, 7]))]);
        let replay = Replay::new(Vec::new(), offsets);
        replay.found("orders/0", 3);
        replay.found("orders/1", 7);
        assert_eq!(replay.missing()["orders/0"], BTreeSet::from([7]));
        replay.found("orders/0", 7);
        assert!(replay.missing().is_empty());
    }
}
