//! Runs a graph: subtasks as tokio tasks, joined by bounded channels, under one coordinator.

mod coordinator;
mod embedded;

pub use coordinator::{Ending, Outcome};
pub use embedded::{Host, JobRun, Replays, RunSettings};
