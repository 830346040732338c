//! The composition root: what users declare, describe and start.

pub mod declare;

/// A job while it is described.
pub struct Job;
