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
///
/// A job that fails makes [`LiveTest::settle`] and the like panic with its error; [`LiveTest::finish`] returns it.
#[must_use = "finish or stop the test, to see how the job ends"]
pub struct LiveTest {
    pub(super) runtime: Runtime,
    pub(super) idle: Idle,
    pub(super) job: JoinHandle<Result<Summary>>,
    pub(super) clock: Clock,
    pub(super) stop: watch::Sender<bool>,
    pub(super) dirty: TestSink<DirtyRecord>,
    pub(super) seed: Option<u64>,
    /// End the sources by hand.
    pub(super) enders: Vec<Box<dyn FnOnce() + Send>>,
}

impl LiveTest {
    /// Lets the job run until it waits for input or for time. What a test pushes into a
    /// [`ManualSource`](super::ManualSource) is worked off then.
    ///
    /// # Panics
    /// When the job has failed.
    #[track_caller]
    pub fn settle(&mut self) {
        self.run_until_idle();
        if !self.job.is_finished() {
            return;
        }
        let ended = self.runtime.block_on(&mut self.job);
        // What ended well is asked for again, by `finish`.
        let ended = ended.unwrap_or_else(|error| Err(lost(error)));
        if let Err(error) = &ended {
            panic!("the job has failed: {}", self.named(error));
        }
        self.job = self.runtime.spawn(async { ended });
    }

    pub(super) fn run_until_idle(&mut self) {
        self.runtime.block_on(self.idle.reached());
    }

    /// The error with the seed that it came by.
    fn named(&self, error: &Error) -> String {
        let seed = self.seed.map(|seed| format!(" (seed {seed})")).unwrap_or_default();
        format!("{}{seed}", error.report())
    }

    /// The test's time.
    pub fn now(&self) -> Timestamp {
        let _inside = self.runtime.enter();
        self.clock.now()
    }

    /// Moves time on: what waits for a moment on the way happens then, in its order.
    ///
    /// # Panics
    /// When the job has failed.
    #[track_caller]
    pub fn advance_by(&mut self, time: Duration) {
        self.settle();
        self.runtime.block_on(async { tokio::time::sleep(time).await });
        self.settle();
    }

    /// As [`LiveTest::advance_by`], to a moment; one that is past leaves time as it is.
    ///
    /// # Panics
    /// When the job has failed.
    #[track_caller]
    pub fn advance_to(&mut self, moment: Timestamp) {
        let left = moment.as_millis().saturating_sub(self.now().as_millis());
        self.advance_by(Duration::from_millis(u64::try_from(left).unwrap_or(0)));
    }

    /// The records that were turned aside so far.
    pub fn dirty(&self) -> Vec<DirtyRecord> {
        self.dirty.records()
    }

    /// Ends the sources by hand, and runs the job to the end of its input.
    ///
    /// # Errors
    /// What made the job fail; with a seed, that is named.
    pub fn finish(self) -> Result<TestRun> {
        let Self { runtime, job, dirty, seed, enders, .. } = self;
        enders.into_iter().for_each(|end| end());
        let ended = runtime.block_on(job).map_err(lost);
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

fn lost(error: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Failed, "the job was lost").caused_by(error)
}
