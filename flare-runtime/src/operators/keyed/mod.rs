//! Operators that remember something for each key.

mod broadcast;
mod connect;
mod deduplicate;
mod gather;
mod process;
mod rolling;
mod subtask;
#[cfg(any(test, feature = "test"))]
mod testing;
mod top_n;

pub mod join;
pub mod window;

#[cfg(feature = "test")]
pub(crate) use broadcast::SHARED;
pub use broadcast::{BroadcastOperator, BroadcastProcess};
pub use connect::{BothSides, CoProcess};
pub use deduplicate::Deduplicate;
pub use gather::{Gather, Gathered, Processed};
pub use process::{Context, Process, ProcessOperator, Timer};
pub use rolling::{Aggregate, Aggregating, Count, Fold, Reduce, Reducing, Sum};
#[cfg(feature = "test")]
pub(crate) use subtask::WATERMARK;
pub use subtask::{Emitted, KeyedOperator, KeyedSubtask, Turn};
#[cfg(feature = "test")]
pub(crate) use testing::Bench;
pub use top_n::{RunningTopN, TopN};
