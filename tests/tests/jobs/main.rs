//! Whole jobs, in this process and in their own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod alignment;
mod command_line;
mod connectors;
mod count_windows;
mod crashes;
mod dirty;
mod endings;
mod figures;
mod graph;
mod inputs;
mod joins;
mod keys;
mod kit;
mod lookups;
mod operator;
mod operators;
mod reference;
mod replay;
mod restores;
mod savepoints;
mod support;
mod top_n;
mod window_results;
mod windows;
