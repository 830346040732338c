//! A test's job while it runs: its time moves when the test says so.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::kit::TestRun;
use super::test_sink::TestSink;
use crate::api::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Summary;
use crate::model::{DirtyRecord, Timestamp};

/// Knows when the runtime has nothing left to do but wait.
#[derive(Clone, Default)]
pub(super) struct Idle(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    reached: bool,
    waker: Option<Waker>,
}

impl Idle {
    /// A runtime of one thread, whose time stands still while there is something to do.
    pub(super) fn runtime(&self) -> Result<Runtime> {
        let idle = self.clone();
        let parked = move || {
            let mut waiting = idle.0.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.reached = true;
            if let Some(waker) = waiting.waker.take() {
                waker.wake();
            }
        };
        let mut builder = Builder::new_current_thread();
        Ok(builder.enable_all().start_paused(true).on_thread_park(parked).build()?)
    }

    /// Until everybody waits.
    async fn reached(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).reached = false;
        std::future::poll_fn(|cx| {
            let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if waiting.reached {
                return Poll::Ready(());
            }
            waiting.waker = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// A job under test that has been started: between the calls of its methods nothing happens.
pub struct LiveTest {
    runtime: Runtime,
    idle: Idle,
    job: JoinHandle<Result<Summary>>,
    clock: Clock,
    stop: watch::Sender<bool>,
    dirty: TestSink<DirtyRecord>,
    seed: Option<u64>,
}

impl LiveTest {
    pub(super) fn new(
        runtime: Runtime,
        idle: Idle,
        job: JoinHandle<Result<Summary>>,
        clock: Clock,
        stop: watch::Sender<bool>,
        dirty: TestSink<DirtyRecord>,
        seed: Option<u64>,
    ) -> Self {
        Self { runtime, idle, job, clock, stop, dirty, seed }
    }

    /// Lets the job run until it waits for input or for time. What a test pushes into a
    /// [`ManualSource`](super::ManualSource) is worked off then.
    pub fn settle(&mut self) {
        self.runtime.block_on(self.idle.reached());
    }

    /// The test's time.
    pub fn now(&self) -> Timestamp {
        let _inside = self.runtime.enter();
        self.clock.now()
    }

    /// Moves time on: what waits for a moment on the way happens then, in its order.
    pub fn advance_by(&mut self, time: Duration) {
        self.settle();
        self.runtime.block_on(async { tokio::time::sleep(time).await });
        self.settle();
    }

    /// As [`LiveTest::advance_by`], to a moment; one that is past leaves time as it is.
    pub fn advance_to(&mut self, moment: Timestamp) {
        let left = moment.as_millis().saturating_sub(self.now().as_millis());
        self.advance_by(Duration::from_millis(u64::try_from(left).unwrap_or(0)));
    }

    /// The records that were turned aside so far.
    pub fn dirty(&self) -> Vec<DirtyRecord> {
        self.dirty.records()
    }

    /// Runs the job to the end of its input. Sources by hand must have been ended.
    ///
    /// # Errors
    /// What made the job fail; with a seed, that is named.
    pub fn finish(self) -> Result<TestRun> {
        let Self { runtime, job, dirty, seed, .. } = self;
        let ended = runtime.block_on(job);
        let ended = ended.map_err(|error| Error::new(ErrorKind::Failed, "the job was lost").caused_by(error));
        let summary = ended.and_then(|ended| ended).map_err(|error| match seed {
            Some(seed) => error.with("seed", seed),
            None => error,
        })?;
        Ok(TestRun { summary, dirty: dirty.records() })
    }

    /// Stops the job as Ctrl-C does: sources end, the rest drains.
    ///
    /// # Errors
    /// As [`LiveTest::finish`].
    pub fn stop(self) -> Result<TestRun> {
        self.stop.send_replace(true);
        self.finish()
    }
}
