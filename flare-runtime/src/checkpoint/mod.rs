//! What a whole job remembers: the snapshots of its subtasks at one barrier, in memory or in a file.

mod restore;
mod savepoint;

pub use restore::Restore;
pub use savepoint::Savepoint;
