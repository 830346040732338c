//! Operators that remember something for each key.

mod broadcast;
mod connect;
mod deduplicate;
mod gather;
mod process;
mod rolling;
mod subtask;
#[cfg(test)]
mod testing;
mod top_n;

pub mod join;
pub mod window;

pub use broadcast::{BroadcastOperator, BroadcastProcess};
pub use connect::{BothSides, CoProcess};
pub use deduplicate::Deduplicate;
pub use gather::{Gather, Gathered, Processed};
pub use process::{Context, Process, ProcessOperator, Timer};
pub use rolling::{Aggregate, Aggregating, Count, Fold, Reduce, Reducing, Sum};
pub use subtask::{Emitted, KeyedOperator, KeyedSubtask, Turn};
pub use top_n::{RunningTopN, TopN};
