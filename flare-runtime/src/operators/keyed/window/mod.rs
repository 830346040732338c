//! Windows: the records of a key between two moments, or so many of them.

mod count;
mod fixed;
mod global;
mod grid;
mod session;
mod sliding_count;

pub use count::CountWindows;
pub use fixed::FixedWindows;
pub use global::{Clearing, EveryCount, EveryTime, Fire, GlobalWindow, Trigger, TriggerContext};
pub use grid::Grid;
pub use session::SessionWindows;
pub use sliding_count::SlidingCount;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Turn;
use super::rolling::Aggregate;
use crate::api::Counter;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Meta, SplitId, Timestamp};
use crate::operators::Routed;

/// The name under which open windows are kept.
pub(crate) const WINDOWS: &str = "windows";

/// A stretch of time, `start` included and `end` not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The first moment inside.
    pub start: Timestamp,
    /// The first moment behind.
    pub end: Timestamp,
}

impl Window {
    /// The last moment inside: the event time of a window's result.
    pub fn last(self) -> Timestamp {
        Timestamp::from_millis(self.end.as_millis().saturating_sub(1))
    }

    /// How long it is.
    pub fn size(self) -> Duration {
        self.end.duration_since(self.start)
    }

    /// Whether the watermark has passed the window.
    fn is_over(self, watermark: Timestamp) -> bool {
        self.last() <= watermark
    }

    /// Whether the two overlap, or one begins where the other ends.
    fn touches(self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// The window from the first start to the last end.
    fn cover(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// What is known of a record that the window gives.
    fn meta(self) -> Meta {
        Meta { timestamp: self.last(), split: SplitId::NONE, offset: -1 }
    }
}

/// How records get an event time, or windows go without.
pub const NEEDS_TIME: &str = "write `event_time = \"field\"` on the source, call `.event_time(…)` on the stream, \
     or use `.processing_time()`";

/// By which time windows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// That of the records.
    Event,
    /// That of the machine.
    Processing,
}

/// When windows give results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firing {
    /// By which time windows go.
    pub domain: Domain,
    /// How long after its end a window still takes late records; each gives its result anew.
    pub lateness: Duration,
    /// How often, in processing time, a window gives what it has so far before its end.
    pub early: Option<Duration>,
}

/// Makes records of what windows give.
pub trait WindowOut<K, T, R>: Send + 'static {
    /// The record.
    type Out: Send + 'static;

    /// Of a result; `emit` is called once for every record that it gives.
    fn result(&mut self, key: &K, window: Window, result: R, emit: impl FnMut(Self::Out));

    /// Of a record that came too late for every window; `None` drops it.
    fn late(&mut self, item: T) -> Option<Self::Out>;
}

/// Results only.
pub struct Results<F>(pub F);

impl<K, T, R, U, F> WindowOut<K, T, R> for Results<F>
where
    F: FnMut(&K, Window, R) -> U + Send + 'static,
    U: Send + 'static,
{
    type Out = U;

    fn result(&mut self, key: &K, window: Window, result: R, mut emit: impl FnMut(U)) {
        emit((self.0)(key, window, result));
    }

    fn late(&mut self, _item: T) -> Option<U> {
        None
    }
}

/// Results, and late records beside them.
pub struct ResultsAndLate<F>(pub F);

impl<K, T, R, U, F> WindowOut<K, T, R> for ResultsAndLate<F>
where
    F: FnMut(&K, Window, R) -> U + Send + 'static,
    T: Send + 'static,
    U: Send + 'static,
{
    type Out = Routed<U, T>;

    fn result(&mut self, key: &K, window: Window, result: R, mut emit: impl FnMut(Self::Out)) {
        emit(Routed::Main((self.0)(key, window, result)));
    }

    fn late(&mut self, item: T) -> Option<Self::Out> {
        Some(Routed::Side(item))
    }
}

/// What all window operators are made of: the key, the aggregate, the results.
pub struct WindowParts<F, A, W> {
    /// A record's key.
    pub key: F,
    /// What is remembered of a window's records.
    pub aggregate: A,
    /// Makes records of results.
    pub out: W,
    /// When there are results.
    pub firing: Firing,
    /// Counts records that came too late.
    pub late: Counter,
}

impl<F, A, W> WindowParts<F, A, W> {
    /// How far the windows' time has come.
    fn time<U>(&self, turn: &Turn<'_, U>) -> Timestamp {
        match self.firing.domain {
            Domain::Event => turn.watermark,
            Domain::Processing => turn.now,
        }
    }

    /// The moment by which a record belongs to windows.
    fn moment<U>(&self, meta: Meta, turn: &Turn<'_, U>) -> Result<Timestamp> {
        match self.firing.domain {
            Domain::Processing => Ok(turn.now),
            Domain::Event if meta.timestamp == Timestamp::MIN => {
                let message = format!("a window by event time met a record without one; {NEEDS_TIME}");
                let error = Error::new(ErrorKind::Config, message).with("operator", &turn.stage.subtask);
                Err(error.with("record", turn.stage.origin(meta)))
            }
            Domain::Event => Ok(meta.timestamp),
        }
    }

    fn too_late<K, T>(&mut self, item: T, meta: Meta, turn: &mut Turn<'_, W::Out>)
    where
        A: Aggregate<T>,
        W: WindowOut<K, T, A::Out>,
    {
        self.late.add(1);
        if let Some(item) = self.out.late(item) {
            turn.out.push(item, meta);
        }
    }

    fn emit<K, T>(
        &mut self,
        key: &K,
        window: Window,
        accumulator: &A::Accumulator,
        turn: &mut Turn<'_, W::Out>,
    ) where
        A: Aggregate<T>,
        W: WindowOut<K, T, A::Out>,
    {
        let meta = window.meta();
        turn.stage.current = meta;
        let result = self.aggregate.result(accumulator);
        self.out.result(key, window, result, |record| turn.out.push(record, meta));
    }
}
