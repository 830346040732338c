//! Operators that remember something for each key.

mod process;
mod rolling;
mod subtask;

pub mod window;

pub use process::{Context, Process, ProcessOperator, Timer};
pub use rolling::{Aggregate, Aggregating, Count, Fold, Reducing, Sum};
pub use subtask::{Emitted, KeyedOperator, KeyedSubtask, Turn};
