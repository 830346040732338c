//! Runs a graph: subtasks as tokio tasks, joined by bounded channels, under one coordinator.

mod checkpoints;
mod coordinator;
mod embedded;
mod pending;

pub use checkpoints::{Checkpoints, Purpose};
pub use coordinator::{Ending, Outcome};
pub use embedded::{Host, JobRun, Observe, Replays, RunSettings};
