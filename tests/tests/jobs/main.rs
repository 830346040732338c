//! Whole jobs, in this process and in their own.

mod command_line;
mod dirty;
mod graph;
mod lookups;
mod operators;
mod reference;
mod support;
