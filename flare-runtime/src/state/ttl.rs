//! How long a state is remembered.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// How long a state lives without being used, in processing time. What is older is never seen again; its memory is
/// given back when it is met, and little by little besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    pub(super) time: Duration,
    pub(super) on_read: bool,
}

impl Ttl {
    /// Lives for `time` after it was written last.
    pub const fn after_write(time: Duration) -> Self {
        Self { time, on_read: false }
    }

    /// Lives for `time` after it was written or read last.
    pub const fn after_access(time: Duration) -> Self {
        Self { time, on_read: true }
    }

    /// Whether something used at `touched` is over.
    pub(super) fn is_over(&self, touched: Timestamp, now: Timestamp) -> bool {
        touched <= now.saturating_sub(self.time)
    }
}

/// A value with the time of its last use.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Timed<V> {
    pub(super) value: V,
    pub(super) touched: Timestamp,
}
