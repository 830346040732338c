//! The state of a subtask as bytes: what it gives at a barrier, and what it begins with after one.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A subtask's state at a barrier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// States by key, each by its name.
    pub tables: BTreeMap<String, TableSnapshot>,
    /// What belongs to the subtask and to no key, each by its name.
    pub own: BTreeMap<String, OwnSnapshot>,
}

/// One state of all keys of a subtask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSnapshot {
    /// The shape of keys, encoded.
    pub key: Vec<u8>,
    /// The shape of values, encoded.
    pub value: Vec<u8>,
    /// Whether each entry has the time of its last use.
    pub timed: bool,
    /// Entries by key group, one after the other.
    pub groups: BTreeMap<u32, Vec<u8>>,
}

/// A value that belongs to the subtask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnSnapshot {
    /// The shape of the value, encoded.
    pub shape: Vec<u8>,
    /// The value, encoded.
    pub value: Vec<u8>,
}

/// What a subtask begins with: snapshots of the subtasks that its operator had before, of which it takes its part.
#[derive(Clone, Debug)]
pub struct Restored {
    /// By the number of the earlier subtask.
    pub parts: Vec<Arc<Snapshot>>,
    /// The key groups that belong to this subtask now.
    pub groups: Range<usize>,
    /// Whether a state that nobody reads any more is dropped; else it is refused.
    pub drops_unread: bool,
}
