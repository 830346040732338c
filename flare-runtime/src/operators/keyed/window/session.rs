//! Sessions: the records of a key that follow one another within a gap.

use std::marker::PhantomData;
use std::time::Duration;

use super::{Domain, Window, WindowOut, WindowParts};
use crate::error::Result;
use crate::model::{Batch, Key, Timestamp};
use crate::operators::keyed::{Aggregate, KeyedOperator, Turn};
use crate::state::{Table, Timers};

/// Session windows.
pub struct SessionWindows<K, T, F, A: Aggregate<T>, W> {
    parts: WindowParts<F, A, W>,
    gap: Duration,
    /// The sessions of a key, by their start.
    sessions: Table<K, Vec<Session<A::Accumulator>>>,
    /// When a key has a session that ends, or is closed.
    ends: Timers<K>,
    types: PhantomData<fn(T)>,
}

#[derive(Clone, Debug)]
struct Session<A> {
    window: Window,
    accumulator: A,
    /// Whether it has given its result as it is.
    given: bool,
}

impl<K, T, F, A, W> SessionWindows<K, T, F, A, W>
where
    K: Key,
    T: Send + 'static,
    F: FnMut(&T) -> K + Send + 'static,
    A: Aggregate<T>,
    W: WindowOut<K, T, A::Out>,
{
    /// Sessions that end `gap` after their last record.
    pub fn new(parts: WindowParts<F, A, W>, gap: Duration) -> Self {
        Self { parts, gap, sessions: Table::new(None), ends: Timers::default(), types: PhantomData }
    }

    /// Adds a record to the session that it belongs to, which it may make of several; `false` when that is closed.
    fn add(&mut self, key: &K, moment: Timestamp, item: &T, time: Timestamp, now: Timestamp) -> bool {
        let own = Window { start: moment, end: moment.saturating_add(self.gap) };
        let sessions = self.sessions.get_or_insert_with(key, now, Vec::new);
        let touched = sessions.extract_if(.., |session| session.window.touches(own)).collect::<Vec<_>>();
        let window = touched.iter().fold(own, |all, session| all.cover(session.window));
        if window.last().saturating_add(self.parts.firing.lateness) <= time {
            // All of them are closed then, and about to be forgotten.
            sessions.extend(touched);
            if sessions.is_empty() {
                self.sessions.remove(key, now);
            }
            return false;
        }
        // A timer that comes too early is set anew when it fires; one that would come too late is set now.
        if touched.iter().all(|session| session.given) || window.is_over(time) {
            self.ends.set(window.last(), key);
        }
        let aggregate = &self.parts.aggregate;
        let mut all = touched.into_iter().map(|session| session.accumulator);
        let mut accumulator = all.next().unwrap_or_else(|| aggregate.create());
        all.for_each(|other| aggregate.merge(&mut accumulator, &other));
        aggregate.add(&mut accumulator, item);
        let at = sessions.partition_point(|session| session.window < window);
        sessions.insert(at, Session { window, accumulator, given: false });
        true
    }

    /// Gives what is over and forgets what is closed, of the keys that have an end by `time`.
    fn fire(&mut self, time: Timestamp, turn: &mut Turn<'_, W::Out>) {
        while let Some((_, key)) = self.ends.take_due(time) {
            let Self { parts, sessions, ends, .. } = self;
            let lateness = parts.firing.lateness;
            let Some(own) = sessions.get_mut(&key, turn.now) else { continue };
            for session in own.iter_mut().filter(|session| !session.given && session.window.is_over(time)) {
                session.given = true;
                parts.emit(&key, session.window, &session.accumulator, turn);
            }
            let closed_at = |window: Window| window.last().saturating_add(lateness);
            own.retain(|session| !session.given || closed_at(session.window) > time);
            for session in own.iter() {
                let next = if session.given { closed_at(session.window) } else { session.window.last() };
                ends.set(next, &key);
            }
            if own.is_empty() {
                sessions.remove(&key, turn.now);
            }
        }
    }
}

impl<K, T, F, A, W> KeyedOperator<T> for SessionWindows<K, T, F, A, W>
where
    K: Key,
    T: Send + 'static,
    F: FnMut(&T) -> K + Send + 'static,
    A: Aggregate<T>,
    W: WindowOut<K, T, A::Out>,
{
    type Out = W::Out;

    fn batch(&mut self, batch: Batch<T>, turn: &mut Turn<'_, W::Out>) -> Result<()> {
        let time = self.parts.time(turn);
        for (item, meta) in batch.into_records() {
            turn.stage.current = meta;
            let moment = self.parts.moment(meta, turn)?;
            let key = (self.parts.key)(&item);
            if !self.add(&key, moment, &item, time, turn.now) {
                self.parts.too_late(item, meta, turn);
            } else if self.ends.next().is_some_and(|at| at <= time) {
                self.fire(time, turn);
            }
        }
        Ok(())
    }

    fn watermark(&mut self, turn: &mut Turn<'_, W::Out>) -> Result<()> {
        if self.parts.firing.domain == Domain::Event || turn.watermark == Timestamp::MAX {
            self.fire(turn.watermark, turn);
        }
        Ok(())
    }

    fn next_timer(&self) -> Option<Timestamp> {
        match self.parts.firing.domain {
            Domain::Event => None,
            Domain::Processing => self.ends.next(),
        }
    }

    fn processing_time(&mut self, turn: &mut Turn<'_, W::Out>) -> Result<()> {
        self.fire(turn.now, turn);
        Ok(())
    }
}
