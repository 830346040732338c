//! The engine of Flare. Job authors use the crate `flare`, which re-exports what they need.
//!
//! Modules stand in the order in which they may import one another: each only from those above it.
//!
//! | module | holds | may import |
//! |---|---|---|
//! | [`error`], [`model`], [`config`] | errors; records and ids; typed settings | each other, downward; no tokio |
//! | [`api`] | traits of sources, sinks, lookups, operators; ports between stages | above |
//! | [`state`] | keyed state and timers | above |
//! | [`checkpoint`] | a job's whole state at one barrier | above |
//! | [`operators`], [`connectors`], [`wrappers`] | map, lookup; kafka, jdbc; retry | `state`, `api` and above, never one another |
//! | [`plan`] | job description to checked graph; pure | `api` and above |
//! | [`engine`] | graph to tasks, channels, shutdown | `plan`, `checkpoint`, `api` and above; no operator, no connector |
//! | [`monitor`] | progress and summary over the engine's figures | `engine`'s snapshot types |
//! | [`job`] | the composition root: streams, registry, command line | everything |
//! | `testing` | the test kit of a job's crate | everything |

pub mod error;
pub mod model;

pub mod config;

pub mod api;

pub mod state;

pub mod checkpoint;

pub mod connectors;
pub mod operators;
pub mod wrappers;

pub mod plan;

pub mod engine;

pub mod monitor;

pub mod job;

#[cfg(feature = "test")]
pub mod testing;
