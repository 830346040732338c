//! The user's own operator over two streams of the same key.

use super::process::{Context, Process, Timer};
use crate::error::Result;
use crate::model::{Either, Key};
use crate::state::Declare;

/// A user's operator over two keyed streams: as [`Process`], with a function for the records of each. Both see the same
/// states and timers.
///
/// The order between the two streams is not defined: a record may come before or after any record of the other.
pub trait CoProcess<K: Key, A, B>: Clone + Send + 'static {
    /// What it emits.
    type Out: Send + 'static;

    /// Declares the states, once in each subtask before the first record.
    ///
    /// # Errors
    /// Fails the job before it starts.
    fn open(&mut self, states: &mut Declare<'_, K>) -> Result<()> {
        let _ = states;
        Ok(())
    }

    /// Processes a record of the stream that was connected, with the key `cx.key()`.
    ///
    /// # Errors
    /// `BadRecord` turns the record aside to the dirty-data output; what was written to states stays. Any other kind
    /// fails the job.
    fn process_left(&mut self, record: &A, cx: &mut Context<'_, K, Self::Out>) -> Result<()>;

    /// Processes a record of the stream that it was connected with.
    ///
    /// # Errors
    /// As [`CoProcess::process_left`].
    fn process_right(&mut self, record: &B, cx: &mut Context<'_, K, Self::Out>) -> Result<()>;

    /// A timer of the key `cx.key()` has come due.
    ///
    /// # Errors
    /// Fails the job.
    fn on_timer(&mut self, timer: Timer, cx: &mut Context<'_, K, Self::Out>) -> Result<()> {
        let _ = (timer, cx);
        Ok(())
    }
}

/// A [`CoProcess`] as a [`Process`] of the records of both streams.
#[derive(Clone)]
pub struct BothSides<P>(pub P);

impl<K: Key, A, B, P: CoProcess<K, A, B>> Process<K, Either<A, B>> for BothSides<P> {
    type Out = P::Out;

    fn open(&mut self, states: &mut Declare<'_, K>) -> Result<()> {
        self.0.open(states)
    }

    fn process(&mut self, record: &Either<A, B>, cx: &mut Context<'_, K, P::Out>) -> Result<()> {
        match record {
            Either::Left(record) => self.0.process_left(record, cx),
            Either::Right(record) => self.0.process_right(record, cx),
        }
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context<'_, K, P::Out>) -> Result<()> {
        self.0.on_timer(timer, cx)
    }
}
