//! One window of all records of a key, whose results a trigger calls for.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::error::Result;
use crate::model::{Key, Timestamp};
use crate::operators::keyed::{Aggregate, Context, Process, Timer};
use crate::state::{Declare, Kept, ValueState};

/// What a window does when its trigger is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fire {
    /// It waits.
    Wait,
    /// It gives its result, and goes on with the records that it has.
    Give,
    /// It gives its result and begins anew.
    GiveAndClear,
}

/// Decides when a window gives its result: after a record, or when a timer comes due that it has set.
///
/// It is made once for the job and cloned for each subtask; what it remembers of a key is in `State`.
pub trait Trigger<T>: Clone + Send + 'static {
    /// What it remembers of a key, until the window is cleared.
    type State: Default + Kept;

    /// A record has been added to the window of a key.
    fn record(&mut self, record: &T, state: &mut Self::State, cx: &mut TriggerContext) -> Fire;

    /// A timer of the key has come due. It may have been set before the window was cleared.
    fn timer(&mut self, timer: Timer, state: &mut Self::State, cx: &mut TriggerContext) -> Fire {
        let _ = (timer, state, cx);
        Fire::Wait
    }
}

/// What a trigger sees and does.
#[derive(Debug)]
pub struct TriggerContext {
    /// The record's event time, or the timer's; `None` when the source gives none.
    pub timestamp: Option<Timestamp>,
    /// How far event time has come.
    pub watermark: Timestamp,
    /// Processing time.
    pub processing_time: Timestamp,
    timers: SmallVec<[Timer; 2]>,
}

impl TriggerContext {
    fn of<K: Key, U>(cx: &Context<'_, K, U>) -> Self {
        let (watermark, processing_time) = (cx.watermark(), cx.processing_time());
        Self { timestamp: cx.timestamp(), watermark, processing_time, timers: SmallVec::new() }
    }

    /// Has [`Trigger::timer`] called for this key then. A timer that is set twice comes once.
    pub fn set(&mut self, timer: Timer) {
        self.timers.push(timer);
    }
}

/// Gives a result whenever a key has got so many records more.
#[derive(Clone, Copy, Debug)]
pub struct EveryCount(pub u64);

impl<T> Trigger<T> for EveryCount {
    type State = u64;

    fn record(&mut self, _record: &T, seen: &mut u64, _cx: &mut TriggerContext) -> Fire {
        *seen += 1;
        if *seen < self.0 {
            return Fire::Wait;
        }
        *seen = 0;
        Fire::Give
    }
}

/// Gives a result at the end of each such stretch of processing time in which a key has got a record; stretches begin
/// at 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug)]
pub struct EveryTime(pub Duration);

impl<T> Trigger<T> for EveryTime {
    type State = ();

    fn record(&mut self, _record: &T, _state: &mut (), cx: &mut TriggerContext) -> Fire {
        let step = i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX).max(1);
        let begun = cx.processing_time.as_millis().div_euclid(step);
        let end = begun.saturating_add(1).saturating_mul(step);
        cx.set(Timer::Processing(Timestamp::from_millis(end)));
        Fire::Wait
    }

    fn timer(&mut self, _timer: Timer, _state: &mut (), _cx: &mut TriggerContext) -> Fire {
        Fire::Give
    }
}

/// A trigger after whose results the window begins anew.
#[derive(Clone, Copy, Debug)]
pub struct Clearing<G>(pub G);

impl<T, G: Trigger<T>> Trigger<T> for Clearing<G> {
    type State = G::State;

    fn record(&mut self, record: &T, state: &mut G::State, cx: &mut TriggerContext) -> Fire {
        cleared(self.0.record(record, state, cx))
    }

    fn timer(&mut self, timer: Timer, state: &mut G::State, cx: &mut TriggerContext) -> Fire {
        cleared(self.0.timer(timer, state, cx))
    }
}

fn cleared(fire: Fire) -> Fire {
    if fire == Fire::Give { Fire::GiveAndClear } else { fire }
}

/// A window of a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open<G, A> {
    trigger: G,
    accumulator: A,
}

/// Runs global windows.
pub struct GlobalWindow<T, A: Aggregate<T>, G: Trigger<T>, O> {
    aggregate: A,
    trigger: G,
    out: O,
    open: ValueState<Open<G::State, A::Accumulator>>,
}

impl<T, A: Aggregate<T>, G: Trigger<T>, O: Clone> Clone for GlobalWindow<T, A, G, O> {
    fn clone(&self) -> Self {
        let Self { aggregate, trigger, out, open } = self;
        Self { aggregate: aggregate.clone(), trigger: trigger.clone(), out: out.clone(), open: open.clone() }
    }
}

impl<T, A: Aggregate<T>, G: Trigger<T>, O> GlobalWindow<T, A, G, O> {
    /// Gives what `out` makes of a result whenever `trigger` calls for it.
    pub fn new(aggregate: A, trigger: G, out: O) -> Self {
        Self { aggregate, trigger, out, open: ValueState::default() }
    }

    /// Does what the trigger has said.
    fn follow<K, U>(&mut self, fire: Fire, trigger: TriggerContext, cx: &mut Context<'_, K, U>) -> Result<()>
    where
        K: Key,
        O: FnMut(&K, A::Out) -> U,
    {
        for timer in trigger.timers {
            match timer {
                Timer::Event(at) => cx.set_timer(at),
                Timer::Processing(at) => cx.set_processing_timer(at),
            }
        }
        if fire == Fire::Wait {
            return Ok(());
        }
        if let Some(open) = self.open.get(cx)? {
            let result = self.aggregate.result(&open.accumulator);
            let record = (self.out)(cx.key(), result);
            cx.emit(record);
        }
        if fire == Fire::GiveAndClear { self.open.clear(cx) } else { Ok(()) }
    }
}

impl<K, T, A, G, U, O> Process<K, T> for GlobalWindow<T, A, G, O>
where
    K: Key,
    T: 'static,
    A: Aggregate<T>,
    G: Trigger<T>,
    O: FnMut(&K, A::Out) -> U + Clone + Send + 'static,
    U: Send + 'static,
{
    type Out = U;

    fn open(&mut self, states: &mut Declare<'_, K>) -> Result<()> {
        self.open = states.value(super::WINDOWS)?;
        Ok(())
    }

    fn process(&mut self, record: &T, cx: &mut Context<'_, K, U>) -> Result<()> {
        let mut asked = TriggerContext::of(cx);
        let Self { aggregate, trigger, open, .. } = self;
        let fresh = || Open { trigger: G::State::default(), accumulator: aggregate.create() };
        let fire = open.update_or(cx, fresh, |open| {
            aggregate.add(&mut open.accumulator, record);
            trigger.record(record, &mut open.trigger, &mut asked)
        })?;
        self.follow(fire, asked, cx)
    }

    fn on_timer(&mut self, timer: Timer, cx: &mut Context<'_, K, U>) -> Result<()> {
        let mut asked = TriggerContext::of(cx);
        let Some(mut open) = self.open.take(cx)? else { return Ok(()) };
        let fire = self.trigger.timer(timer, &mut open.trigger, &mut asked);
        self.open.set(cx, open)?;
        self.follow(fire, asked, cx)
    }
}
