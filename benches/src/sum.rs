//! Checksums, by which Flare and the reference prove that they did the same work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Stopwatch;

/// Where a job's checksum ends up.
#[derive(Clone, Debug, Default)]
pub struct Total(Arc<AtomicU64>);

impl Total {
    /// The sum now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A sum in the hands of one subtask. When the subtask ends, the sum is added to the total and the stopwatch stopped.
#[derive(Debug)]
pub struct Sum {
    value: u64,
    used: bool,
    total: Total,
    watch: Stopwatch,
}

impl Sum {
    /// An empty sum that ends up in `total`.
    pub fn new(total: &Total, watch: &Stopwatch) -> Self {
        Self { value: 0, used: false, total: total.clone(), watch: watch.clone() }
    }

    /// Adds a value.
    #[inline]
    pub fn add(&mut self, value: u64) {
        self.used = true;
        self.value = self.value.wrapping_add(value);
    }
}

impl Clone for Sum {
    fn clone(&self) -> Self {
        Self::new(&self.total, &self.watch)
    }
}

impl Drop for Sum {
    fn drop(&mut self) {
        // A job keeps the function that it was described with beside the copies that work.
        if self.used {
            self.total.0.fetch_add(self.value, Ordering::Relaxed);
            self.watch.stop();
        }
    }
}
