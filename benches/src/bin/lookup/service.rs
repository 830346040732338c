//! A source that answers each call after a fixed time, at little cost.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// How often the answers that are due are sent: a timer of the kernel's, since the runtime's is too coarse.
const TICK: Duration = Duration::from_micros(50);

/// The source. All calls take equally long, so they are answered in the order in which they came.
#[derive(Debug)]
pub(crate) struct Service {
    latency: Duration,
    waiting: Mutex<VecDeque<(Instant, Waker)>>,
}

impl Service {
    /// A source with a thread that answers; the thread ends with the source.
    pub(crate) fn start(latency: Duration) -> Arc<Self> {
        let service = Arc::new(Self { latency, waiting: Mutex::default() });
        let weak = Arc::downgrade(&service);
        std::thread::spawn(move || answer_all(&weak));
        service
    }

    /// Asks; the answer is that the time is over.
    pub(crate) fn call(self: &Arc<Self>) -> Call {
        Call { service: Arc::clone(self), due: Instant::now() + self.latency }
    }

    fn answer_due(&self) {
        let now = Instant::now();
        let due: Vec<_> = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let count = waiting.partition_point(|(at, _)| *at <= now);
            waiting.drain(..count).collect()
        };
        due.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

#[expect(clippy::disallowed_methods, reason = "the ticking thread is not one of the runtime's")]
fn answer_all(service: &Weak<Service>) {
    while let Some(service) = service.upgrade() {
        service.answer_due();
        drop(service);
        std::thread::sleep(TICK);
    }
}

/// A question under way.
#[derive(Debug)]
pub(crate) struct Call {
    service: Arc<Service>,
    due: Instant,
}

impl Future for Call {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.due {
            return Poll::Ready(());
        }
        let mut waiting = self.service.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back((self.due, cx.waker().clone()));
        Poll::Pending
    }
}
