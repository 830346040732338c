//! Pauses between tries.

use std::time::Duration;

use rand::RngExt;

use crate::config::Problems;
use crate::model::format_duration;

/// The pauses between tries: doubled each time, with "equal jitter" (Brooker, "Exponential Backoff And Jitter", 2015).
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// Pauses from `first` up to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// Adds to `problems` when `longest` is shorter than `first`; the two are settings of the section `path`.
    pub fn check(first: Duration, longest: Duration, path: &str, problems: &mut Problems) {
        if longest < first {
            let message = "the longest pause is shorter than the first one, `backoff`";
            let remedy = format!("write \"{}\" or more", format_duration(first));
            problems.add("conflicting-settings", format!("{path}.max_backoff"), message, remedy);
        }
    }

    /// The pause before try `attempt + 1`, `attempt` from 1.
    pub fn pause(&self, attempt: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        let whole = self.first.saturating_mul(factor).min(self.longest);
        whole.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_up_to_the_longest_pause() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        for (attempt, whole) in [(1, 100), (2, 200), (3, 400), (5, 1000), (200, 1000)] {
            let pause = backoff.pause(attempt).as_millis();
            assert!((whole / 2..=whole).contains(&pause), "{attempt}: {pause}");
        }
    }
}
