//! The composition root: what users declare, describe and start.

pub mod declare;
