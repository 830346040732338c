//! Keyed state: what an operator remembers for each key.

pub mod codec;

mod handles;
mod states;
mod table;
mod timers;
mod ttl;

pub use handles::{AggregatingState, ListState, MapState, ReducingState, ValueState};
pub use states::{Access, Declare, Kept, States};
pub use table::Table;
pub use timers::Timers;
pub use ttl::{Timed, Ttl};
