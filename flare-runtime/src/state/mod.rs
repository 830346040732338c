//! Keyed state: what an operator remembers for each key.

pub mod codec;

mod backend;
#[cfg(feature = "disk-state")]
mod disk;
mod handles;
mod snapshot;
mod states;
mod table;
mod timers;
mod ttl;

pub use backend::{Backend, BackendKind, StateSettings};
#[cfg(feature = "disk-state")]
pub use disk::{DiskSettings, DiskStore, DiskTable};
pub use handles::{AggregatingState, ListState, MapState, ReducingState, ValueState};
pub use snapshot::{SnapshotReader, SnapshotWriter, TableWriter};
pub use states::{Access, Declare, Kept, States};
pub use table::Table;
pub use timers::{EVENT_TIMERS, PROCESSING_TIMERS, Timers};
pub use ttl::{Timed, Ttl};
