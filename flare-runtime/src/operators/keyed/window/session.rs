//! Sessions: the records of a key that follow one another within a gap.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::{Domain, WINDOWS, Window, WindowOut, WindowParts};
use crate::error::Result;
use crate::model::{Batch, Key, Timestamp};
use crate::operators::keyed::{Aggregate, KeyedOperator, Turn};
use crate::state::{Backend, SnapshotReader, SnapshotWriter, Table};

/// Session windows.
pub struct SessionWindows<K, T, F, A: Aggregate<T>, W> {
    parts: WindowParts<F, A, W>,
    gap: Duration,
    /// The sessions of a key, by their start.
    sessions: Table<K, Sessions<A::Accumulator>>,
    /// Keys that have a session which ends then, or is closed; a key may come twice, and too early.
    ends: BTreeMap<Timestamp, Vec<K>>,
    types: PhantomData<fn(T)>,
}

/// Most keys have one.
type Sessions<A> = SmallVec<[Session<A>; 1]>;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Session<A> {
    window: Window,
    accumulator: A,
    /// Whether it has given its result as it is.
    given: bool,
    /// When it is looked at next: no later than it ends, or is closed.
    armed: Timestamp,
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
        Self { parts, gap, sessions: Table::new(None), ends: BTreeMap::new(), types: PhantomData }
    }

    /// Adds a record to the session that it belongs to, which it may make of several; gives it back when that is closed.
    fn add(
        &mut self,
        key: &K,
        moment: Timestamp,
        item: T,
        time: Timestamp,
        now: Timestamp,
    ) -> Result<Option<T>> {
        let Self { parts, gap, sessions, ends, .. } = self;
        let own = Window { start: moment, end: moment.saturating_add(*gap) };
        let sessions = sessions.get_or_insert_with(key, now, SmallVec::new)?;
        let touched = sessions.iter().filter(|session| session.window.touches(own));
        let window = touched.fold(own, |all, session| all.cover(session.window));
        if window.last().saturating_add(parts.firing.lateness) <= time {
            if sessions.is_empty() {
                self.sessions.remove(key, now)?;
            }
            return Ok(Some(item));
        }
        let mut joined: Option<Session<A::Accumulator>> = None;
        let mut index = 0;
        while index < sessions.len() {
            if !sessions[index].window.touches(own) {
                index += 1;
                continue;
            }
            let session = sessions.remove(index);
            match &mut joined {
                Some(known) => {
                    parts.aggregate.merge(&mut known.accumulator, &session.accumulator);
                    known.given &= session.given;
                    known.armed = known.armed.min(session.armed);
                }
                None => joined = Some(session),
            }
        }
        let fresh =
            || Session { window, accumulator: parts.aggregate.create(), given: false, armed: Timestamp::MAX };
        let mut session = joined.unwrap_or_else(fresh);
        parts.aggregate.add_owned(&mut session.accumulator, item);
        (session.window, session.given) = (window, false);
        // A look that comes too early is set anew then; one that would come too late is set now.
        if session.armed > window.last() {
            session.armed = window.last();
            ends.entry(session.armed).or_default().push(key.clone());
        }
        let at = sessions.partition_point(|session| session.window < window);
        sessions.insert(at, session);
        Ok(None)
    }

    /// Gives what is over and forgets what is closed, of the keys that have an end by `time`.
    fn fire(&mut self, time: Timestamp, turn: &mut Turn<'_, W::Out>) -> Result<()> {
        while let Some(due) = self.ends.first_entry().filter(|first| *first.key() <= time) {
            let (at, keys) = due.remove_entry();
            for key in keys {
                self.end(&key, at, time, turn)?;
            }
        }
        Ok(())
    }

    /// Gives what is over of one key, forgets what is closed, and sets the next look at what was to be looked at now.
    fn end(&mut self, key: &K, at: Timestamp, time: Timestamp, turn: &mut Turn<'_, W::Out>) -> Result<()> {
        let Self { parts, sessions, ends, .. } = self;
        let lateness = parts.firing.lateness;
        let Some(own) = sessions.get_mut(key, turn.now)? else { return Ok(()) };
        // In the order of their ends: what ends later has its own turn, though the time may have passed it already.
        for session in own.iter_mut().filter(|session| !session.given && session.window.is_over(at)) {
            session.given = true;
            parts.emit(key, session.window, &session.accumulator, turn);
        }
        let closed_at = |window: Window| window.last().saturating_add(lateness);
        own.retain(|session| !session.given || closed_at(session.window) > time);
        for session in own.iter_mut().filter(|session| session.armed <= at || session.given) {
            let next = if session.given { closed_at(session.window) } else { session.window.last() };
            if session.armed != next {
                session.armed = next;
                ends.entry(next).or_default().push(key.clone());
            }
        }
        if own.is_empty() {
            sessions.remove(key, turn.now)?;
        }
        Ok(())
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
            if let Some(item) = self.add(&key, moment, item, time, turn.now)? {
                self.parts.too_late(item, meta, turn);
            } else if self.ends.first_key_value().is_some_and(|(at, _)| *at <= time) {
                self.fire(time, turn)?;
            }
        }
        Ok(())
    }

    fn watermark(&mut self, turn: &mut Turn<'_, W::Out>) -> Result<()> {
        if self.parts.firing.domain == Domain::Event || turn.watermark == Timestamp::MAX {
            self.fire(turn.watermark, turn)?;
        }
        Ok(())
    }

    fn next_timer(&self) -> Option<Timestamp> {
        match self.parts.firing.domain {
            Domain::Event => None,
            Domain::Processing => self.ends.first_key_value().map(|(at, _)| *at),
        }
    }

    fn processing_time(&mut self, turn: &mut Turn<'_, W::Out>) -> Result<()> {
        self.fire(turn.now, turn)
    }

    fn open(&mut self, backend: &Backend) -> Result<()> {
        self.sessions = backend.table(WINDOWS, None)?;
        Ok(())
    }

    fn snapshot(&mut self, writer: &mut SnapshotWriter) -> Result<()> {
        self.sessions.snapshot(WINDOWS, writer)
    }

    fn restore(&mut self, reader: &SnapshotReader<'_>, now: Timestamp) -> Result<()> {
        let Self { sessions, ends, .. } = self;
        reader.table(WINDOWS, |key: K, _, own: Sessions<A::Accumulator>| {
            for session in &own {
                ends.entry(session.armed).or_default().push(key.clone());
            }
            sessions.insert(&key, own, now)
        })
    }
}
