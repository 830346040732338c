//! A test's job while it runs: its time moves when the test says so.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use super::kit::TestRun;
use super::rig::{Rig, Run};
use super::test_sink::TestSink;
use crate::api::Figure;
use crate::checkpoint::Savepoint;
use crate::engine::Purpose;
use crate::error::{Error, ErrorKind, Result};
use crate::job::Summary;
use crate::model::{DirtyRecord, Key, Timestamp};
use crate::state::Kept;

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
        poll_fn(|cx| {
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
    pub(super) rig: Rig,
    pub(super) run: Run,
    pub(super) dirty: TestSink<DirtyRecord>,
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
        let settled = self.run_until_idle();
        let settled = settled.and_then(|()| self.look_at_end());
        self.expect(settled);
    }

    /// Lets the job run until it waits; after a crash that the test has set, the next run.
    pub(super) fn run_until_idle(&mut self) -> Result<()> {
        loop {
            self.runtime.block_on(self.idle.reached());
            if !self.begin_after_crash()? {
                return Ok(());
            }
        }
    }

    /// Whether the job has crashed as the test has set, and has begun again.
    fn begin_after_crash(&mut self) -> Result<bool> {
        if !self.run.job.is_finished() {
            return Ok(false);
        }
        let Some(crash) = self.rig.faults.take_crash() else { return Ok(false) };
        self.run = self.rig.begin_again(&self.runtime, &self.run, Some(crash))?;
        Ok(true)
    }

    /// The error of a job that has failed.
    fn look_at_end(&mut self) -> Result<()> {
        if !self.run.job.is_finished() {
            return Ok(());
        }
        let summary = self.runtime.block_on(&mut self.run.job).unwrap_or_else(|error| Err(lost(error)))?;
        // What ended well is asked for again, by `finish`.
        self.run.job = self.runtime.spawn(async { Ok(summary) });
        Ok(())
    }

    #[track_caller]
    fn expect<R>(&self, result: Result<R>) -> R {
        match result {
            Ok(result) => result,
            Err(error) => {
                let seed = self.rig.seed.map(|seed| format!(" (seed {seed})")).unwrap_or_default();
                panic!("the job has failed: {}{seed}", error.report())
            }
        }
    }

    /// The test's time.
    pub fn now(&self) -> Timestamp {
        let _inside = self.runtime.enter();
        self.rig.clock.now()
    }

    /// Moves time on: what waits for a moment on the way happens then, in its order.
    ///
    /// # Panics
    /// When the job has failed.
    #[track_caller]
    pub fn advance_by(&mut self, time: Duration) {
        self.settle();
        let until = {
            let _inside = self.runtime.enter();
            Instant::now() + time
        };
        loop {
            let ended = Arc::clone(&self.run.ended);
            let is_over = self.runtime.block_on(async {
                tokio::select! {
                    biased;
                    () = ended.notified() => false,
                    () = tokio::time::sleep_until(until) => true,
                }
            });
            let again = self.begin_after_crash();
            if !self.expect(again) {
                if !is_over {
                    let rest = async { tokio::time::sleep_until(until).await };
                    self.runtime.block_on(rest);
                }
                break;
            }
        }
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

    /// Takes a checkpoint: after a crash, the job begins here. It can be saved into a file, for
    /// [`FlareTest::restore`](super::FlareTest::restore).
    ///
    /// # Panics
    /// When the job has failed, or has ended.
    #[track_caller]
    pub fn checkpoint(&mut self) -> Arc<Savepoint> {
        self.take(Purpose::Checkpoint)
    }

    #[track_caller]
    fn take(&mut self, purpose: Purpose) -> Arc<Savepoint> {
        self.settle();
        let mut answer = self.run.checkpoints.ask(purpose);
        self.settle();
        answer.try_recv().expect("a job that has ended takes no checkpoints")
    }

    /// Kills the job, as by `kill -9`, and has it begin again from its last completed checkpoint; without one, from the
    /// beginning.
    ///
    /// # Panics
    /// When the job has failed.
    #[track_caller]
    pub fn crash(&mut self) {
        self.run.job.abort();
        let _ = self.runtime.block_on(&mut self.run.job);
        let begun = self.rig.begin_again(&self.runtime, &self.run, None);
        self.run = self.expect(begun);
        self.settle();
    }

    /// Sets a setting from the next crash on: `live.set("job.parallelism", 3)`.
    pub fn set(&mut self, key: &str, value: impl std::fmt::Display) {
        self.rig.selection.settings.push(format!("{key}={value}"));
    }

    /// What an operator remembers for a key, by the name of its state; see [`Savepoint::entries`] for the names. A
    /// barrier goes through the job for it, by which nothing counts as safe. A value whose TTL is over is seen until the
    /// operator meets it again.
    ///
    /// # Panics
    /// When the job has no such operator, or the state has other types; when the job has failed, or has ended.
    #[track_caller]
    pub fn state<K: Key, V: Kept>(&mut self, operator: &str, state: &str, key: &K) -> Option<V> {
        known(self.take(Purpose::Look).value(operator, state, key))
    }

    /// The timers of event time that an operator has set, by time and key.
    ///
    /// # Panics
    /// As [`LiveTest::state`].
    #[track_caller]
    pub fn timers<K: Key>(&mut self, operator: &str) -> Vec<(Timestamp, K)> {
        known(self.take(Purpose::Look).timers(operator))
    }

    /// How far event time has come behind an operator; `None` before its first watermark.
    pub fn watermark(&self, operator: &str) -> Option<Timestamp> {
        let figures = self.run.metrics.snapshot().into_iter();
        let marks = figures.filter_map(|((of, name), figure)| match figure {
            Figure::Level(millis) if of == operator && name.starts_with("watermark.") => Some(millis),
            _ => None,
        });
        marks.min().map(Timestamp::from_millis)
    }

    /// Ends the sources by hand, and runs the job to the end of its input.
    ///
    /// # Errors
    /// What made the job fail; with a seed, that is named.
    pub fn finish(mut self) -> Result<TestRun> {
        std::mem::take(&mut self.enders).into_iter().for_each(|end| end());
        let summary = self.summary().map_err(|error| match self.rig.seed {
            Some(seed) => error.with("seed", seed),
            None => error,
        })?;
        Ok(TestRun { summary, dirty: self.dirty.records(), crashes: self.rig.crashes })
    }

    fn summary(&mut self) -> Result<Summary> {
        loop {
            let ended = self.runtime.block_on(&mut self.run.job).unwrap_or_else(|error| Err(lost(error)));
            let Some(crash) = self.rig.faults.take_crash() else { return ended };
            self.run = self.rig.begin_again(&self.runtime, &self.run, Some(crash))?;
        }
    }

    /// Stops the job as Ctrl-C does: sources end, the rest drains.
    ///
    /// # Errors
    /// As [`LiveTest::finish`].
    pub fn stop(self) -> Result<TestRun> {
        self.run.stop.send_replace(true);
        self.finish()
    }
}

/// What was asked for, which must be there.
#[track_caller]
fn known<R>(asked: Result<R>) -> R {
    match asked {
        Ok(found) => found,
        Err(error) => panic!("the job has nothing of this kind: {}", error.report()),
    }
}

fn lost(error: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Failed, "the job was lost").caused_by(error)
}
