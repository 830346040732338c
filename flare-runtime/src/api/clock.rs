//! Processing time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::Timestamp;

/// The time of the machine that processes, as all subtasks of a job see it. It never goes backwards, though the wall
/// clock may.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    /// The wall clock, and the latest time that anybody was told.
    Wall(AtomicI64),
    /// So much later than `start` as the runtime's own time has gone on, which a test may move.
    Runtime { start: Timestamp, since: Instant },
}

impl Clock {
    /// The wall clock.
    pub fn wall() -> Self {
        Self(Arc::new(Kind::Wall(AtomicI64::new(i64::MIN))))
    }

    /// A clock that shows `start` now and goes on with the runtime's time.
    pub fn starting_at(start: Timestamp) -> Self {
        Self(Arc::new(Kind::Runtime { start, since: Instant::now() }))
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        match &*self.0 {
            Kind::Wall(latest) => {
                let now = Timestamp::now().as_millis();
                Timestamp::from_millis(now.max(latest.fetch_max(now, Ordering::Relaxed)))
            }
            Kind::Runtime { start, since } => start.saturating_add(since.elapsed()),
        }
    }

    /// When `at` comes, in the runtime's time. Whoever waits looks at the clock again then: a wall clock may have been
    /// set meanwhile.
    pub fn instant(&self, at: Timestamp) -> Instant {
        let wait = at.as_millis().saturating_sub(self.now().as_millis());
        let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0)).min(Self::LONGEST_WAIT);
        Instant::now() + wait
    }

    /// A wall clock that is set forward is noticed after so long.
    const LONGEST_WAIT: Duration = Duration::from_secs(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn goes_on_with_the_time_of_a_test() {
        let clock = Clock::starting_at(Timestamp::from_millis(1000));
        tokio::time::advance(Duration::from_millis(250)).await;
        assert_eq!(clock.now(), Timestamp::from_millis(1250));
        let due = clock.instant(Timestamp::from_millis(1300));
        assert_eq!(due - Instant::now(), Duration::from_millis(50));
    }

    #[test]
    fn never_goes_back() {
        let later = Timestamp::now().as_millis() + 60_000;
        let clock = Clock(Arc::new(Kind::Wall(AtomicI64::new(later))));
        assert_eq!(clock.now().as_millis(), later);
    }
}
