//! What every connector promises, checked by one suite wherever records come from or go to: files and SQLite always,
//! servers where `FLARE_TEST_KAFKA`, `FLARE_TEST_MYSQL` and `FLARE_TEST_POSTGRES` name them. And what a whole job
//! promises when its process is killed, a server is gone for a while, or its end is slow.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(all(feature = "kafka", feature = "mysql"))]
mod kill;
mod lookups;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod outage;
mod place;
mod pressure;
#[cfg(all(feature = "kafka", feature = "mysql"))]
mod replay;
mod sinks;
mod sources;
mod support;
#[cfg(feature = "kafka")]
mod topic;
mod twice;
