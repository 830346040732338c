//! Asynchronous lookups: each record waits for its dimension row without holding up the others.
//!
//! - `slots`: the records that wait, and the order in which they leave;
//! - `asks`: the keys that are asked for, one request for all who wait for a key;
//! - `cache`: rows by key, misses remembered for a shorter time;
//! - `front`: a subtask's own small cache before that.

mod asks;
mod cache;
mod front;
mod function;
mod rows;
mod settings;
mod slots;
mod subtask;
mod table;
#[cfg(test)]
mod tests;

pub use cache::Cache;
pub use function::FunctionLookup;
pub use rows::TypedRows;
pub use settings::{CacheSettings, LookupConfig, LookupRetry, LookupSettings, OnFailure, Order};
pub use subtask::{LookupParts, LookupSubtask};
pub use table::Table;
