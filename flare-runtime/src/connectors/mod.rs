//! Connectors: a folder and a feature each, none of which knows another.

pub mod files;
pub mod generator;
pub mod log;
pub mod memory;
pub mod print;

#[cfg(feature = "jdbc")]
pub mod jdbc;
#[cfg(feature = "kafka")]
pub mod kafka;
