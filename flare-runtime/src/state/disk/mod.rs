//! Keyed state on disk, for what is larger than memory: a log-structured merge tree behind a cache of typed values.
//!
//! The tree is scratch, since what lasts is in checkpoints: there is no log, and a directory that a killed process
//! left behind is emptied. All states of a subtask are in one [`DiskStore`], each under a number of its own, so that a
//! [`DiskTable`] costs nothing before it is too large for memory, and is cleared by taking another number.
//!
//! | file | holds |
//! |---|---|
//! | `table`, `scan` | the table as operators see it |
//! | `entries`, `memory` | entries in memory; how many they may be |
//! | `rows`, `batch` | keys and values as bytes |
//! | `store`, `numbers`, `upkeep`, `directory` | the tree of a subtask and who tidies it |

mod batch;
mod directory;
mod entries;
mod memory;
mod numbers;
mod rows;
mod scan;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod tree;
mod upkeep;

use std::path::PathBuf;

pub use store::DiskStore;
pub use table::DiskTable;

/// Where and how states are kept on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSettings {
    /// Every store has a directory of its own in it.
    pub directory: PathBuf,
    /// Bytes of the values in memory of one subtask, all its tables together.
    pub write_buffer: u64,
    /// Bytes of blocks of files in memory of one store. Indexes and Bloom filters, which are always in memory, are about
    /// two bytes a key beside it.
    pub block_cache: u64,
}
