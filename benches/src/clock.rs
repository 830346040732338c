//! Wall-clock and processor time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// How long something took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Span {
    /// By the clock.
    pub wall: Duration,
    /// Of processor time, all threads of the process together.
    pub cpu: Duration,
}

/// A point in time, to measure from.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    wall: Instant,
    cpu: Duration,
}

impl Moment {
    /// This moment.
    pub fn now() -> Self {
        Self { wall: Instant::now(), cpu: processor_time() }
    }

    /// What has passed since.
    pub fn elapsed(self) -> Span {
        Span { wall: self.wall.elapsed(), cpu: processor_time().saturating_sub(self.cpu) }
    }
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(u64::try_from(time.tv_nsec).unwrap_or_default())
}

/// A stopwatch that one part of a job starts and another one stops.
#[derive(Clone, Debug, Default)]
pub struct Stopwatch(Arc<Mutex<(Option<Moment>, Option<Span>)>>);

impl Stopwatch {
    /// Starts it, unless it runs.
    pub fn start(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0.get_or_insert_with(Moment::now);
    }

    /// Notes what has passed; the last call counts.
    pub fn stop(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 = state.0.map(Moment::elapsed);
    }

    /// What passed between the start and the last stop.
    pub fn span(&self) -> Span {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1.unwrap_or_default()
    }
}
