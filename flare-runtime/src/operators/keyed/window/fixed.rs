//! Windows on a grid of time, tumbling or sliding.
//!
//! A window is a row of panes, which windows that overlap share (Li et al., "No Pane, No Gain", 2005): a record is
//! added to one accumulator, however many windows it belongs to.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use indexmap::IndexMap;

use super::{Domain, Window, WindowOut, WindowParts};
use crate::error::Result;
use crate::model::{Batch, Key, Timestamp};
use crate::operators::keyed::{Aggregate, KeyedOperator, Turn};
use crate::state::Table;

/// Where windows begin and end, in milliseconds: every `slide` one of `size` begins, the first at `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Length of a window.
    pub size: i64,
    /// From one window's start to the next.
    pub slide: i64,
    /// Where a window starts, counted from 1970.
    pub offset: i64,
}

impl Grid {
    /// Length of a pane: what all borders have in common.
    fn pane(self) -> i64 {
        let (mut a, mut b) = (self.size, self.slide);
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a.max(1)
    }

    fn floor(self, moment: i64, step: i64) -> i64 {
        let shifted = moment.saturating_sub(self.offset);
        moment.saturating_sub(shifted.rem_euclid(step))
    }

    /// The pane that a moment belongs to, by its start.
    fn pane_of(self, moment: Timestamp) -> i64 {
        self.floor(moment.as_millis(), self.pane())
    }

    /// The windows that a pane belongs to, the last one first.
    fn windows_of(self, pane: i64) -> impl Iterator<Item = Window> {
        let last = self.floor(pane, self.slide);
        let starts = (0..).map(move |back| last.saturating_sub(back * self.slide));
        starts
            .take_while(move |start| start.saturating_add(self.size) > pane)
            .map(move |start| self.window(start))
    }

    fn window(self, start: i64) -> Window {
        let end = Timestamp::from_millis(start.saturating_add(self.size));
        Window { start: Timestamp::from_millis(start), end }
    }

    /// The start of the first window that is not over.
    fn first_open(self, time: Timestamp) -> i64 {
        let last_over = time.as_millis().saturating_add(1).saturating_sub(self.size);
        if last_over == i64::MIN {
            last_over
        } else {
            self.floor(last_over, self.slide).saturating_add(self.slide)
        }
    }

    /// The window that ends last of those that a pane belongs to; `None` for a pane between windows.
    fn last_of(self, pane: i64) -> Option<Window> {
        self.windows_of(pane).next()
    }
}

/// Windows on a grid.
pub struct FixedWindows<K, T, F, A: Aggregate<T>, W> {
    parts: WindowParts<F, A, W>,
    grid: Grid,
    panes: BTreeMap<i64, Table<K, A::Accumulator>>,
    /// Windows that start before this moment are over, and have given their result if they had any record.
    fired: i64,
    /// When what there is so far is given next.
    early_at: Option<Timestamp>,
    types: PhantomData<fn(T)>,
}

impl<K, T, F, A, W> FixedWindows<K, T, F, A, W>
where
    K: Key,
    T: Send + 'static,
    F: FnMut(&T) -> K + Send + 'static,
    A: Aggregate<T>,
    W: WindowOut<K, T, A::Out>,
{
    /// Windows of these parts.
    pub fn new(parts: WindowParts<F, A, W>, grid: Grid) -> Self {
        let (panes, fired) = (BTreeMap::new(), i64::MIN);
        Self { parts, grid, panes, fired, early_at: None, types: PhantomData }
    }

    /// Whether the window takes no records any more.
    fn is_closed(&self, window: Window, time: Timestamp) -> bool {
        window.last().saturating_add(self.parts.firing.lateness) <= time
    }

    /// Gives the results of all windows that are over and have not given theirs, in their order.
    fn fire(&mut self, time: Timestamp, turn: &mut Turn<'_, W::Out>) {
        while let Some(window) = self.next_window().filter(|window| window.is_over(time)) {
            self.give(window, turn);
            self.fired = window.start.as_millis().saturating_add(1);
        }
        self.fired = self.fired.max(self.grid.first_open(time));
        let closed = |pane: &i64| {
            let lateness = self.parts.firing.lateness;
            self.grid.last_of(*pane).is_none_or(|window| window.last().saturating_add(lateness) <= time)
        };
        while self.panes.first_key_value().is_some_and(|(pane, _)| closed(pane)) {
            self.panes.pop_first();
        }
    }

    /// The first window with records that has not given its result.
    fn next_window(&self) -> Option<Window> {
        let open = |pane: i64| {
            let windows = self.grid.windows_of(pane);
            windows.take_while(|window| window.start.as_millis() >= self.fired).last()
        };
        self.panes.keys().find_map(|pane| open(*pane))
    }

    /// Gives the results of one window.
    fn give(&mut self, window: Window, turn: &mut Turn<'_, W::Out>) {
        let Self { parts, panes, .. } = self;
        let mut inside = panes.range(window.start.as_millis()..window.end.as_millis()).map(|(_, pane)| pane);
        let (Some(first), second) = (inside.next(), inside.next()) else { return };
        let Some(second) = second else {
            for (key, accumulator) in first.iter() {
                parts.emit(key, window, accumulator, turn);
            }
            return;
        };
        let mut merged: IndexMap<&K, A::Accumulator, ahash::RandomState> = IndexMap::default();
        for pane in [first, second].into_iter().chain(inside) {
            for (key, accumulator) in pane.iter() {
                match merged.get_mut(key) {
                    Some(known) => parts.aggregate.merge(known, accumulator),
                    None => drop(merged.insert(key, accumulator.clone())),
                }
            }
        }
        for (key, accumulator) in merged {
            parts.emit(key, window, &accumulator, turn);
        }
    }

    /// Gives the result of one key in a window that has given its own before.
    fn give_again(&mut self, key: &K, window: Window, turn: &mut Turn<'_, W::Out>) {
        let Self { parts, panes, .. } = self;
        let mut merged: Option<A::Accumulator> = None;
        for (_, pane) in panes.range_mut(window.start.as_millis()..window.end.as_millis()) {
            let Some(accumulator) = pane.get(key, turn.now) else { continue };
            match &mut merged {
                Some(known) => parts.aggregate.merge(known, accumulator),
                None => merged = Some(accumulator.clone()),
            }
        }
        if let Some(accumulator) = merged {
            parts.emit(key, window, &accumulator, turn);
        }
    }

    fn record(&mut self, pane: i64, key: &K, item: &T, turn: &Turn<'_, W::Out>) {
        let table = self.panes.entry(pane).or_insert_with(|| Table::new(None));
        let aggregate = &self.parts.aggregate;
        aggregate.add(table.get_or_insert_with(key, turn.now, || aggregate.create()), item);
    }

    /// Sets the next moment of early results, if there is something to give.
    fn plan_early(&mut self, now: Timestamp) {
        let every = self.parts.firing.early.filter(|_| !self.panes.is_empty());
        self.early_at = every.map(|every| now.saturating_add(every));
    }
}

impl<K, T, F, A, W> KeyedOperator<T> for FixedWindows<K, T, F, A, W>
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
            let pane = self.grid.pane_of(self.parts.moment(meta, turn)?);
            // Between windows that are shorter than their slide, a record belongs to none.
            let Some(last) = self.grid.last_of(pane) else { continue };
            if self.is_closed(last, time) {
                self.parts.too_late(item, meta, turn);
                continue;
            }
            let key = (self.parts.key)(&item);
            self.record(pane, &key, &item, turn);
            let over = self.grid.windows_of(pane).filter(|window| window.is_over(time));
            let again: Vec<_> = over.filter(|window| !self.is_closed(*window, time)).collect();
            for window in again.into_iter().rev() {
                self.give_again(&key, window, turn);
            }
        }
        if self.early_at.is_none() {
            self.plan_early(turn.now);
        }
        Ok(())
    }

    fn watermark(&mut self, turn: &mut Turn<'_, W::Out>) -> Result<()> {
        if self.parts.firing.domain == Domain::Event {
            self.fire(turn.watermark, turn);
        } else if turn.watermark == Timestamp::MAX {
            // The input has ended, and nobody waits for the clock.
            self.fire(Timestamp::MAX, turn);
        }
        Ok(())
    }

    fn next_timer(&self) -> Option<Timestamp> {
        let end = match self.parts.firing.domain {
            Domain::Event => None,
            Domain::Processing => self.next_window().map(|window| window.end),
        };
        end.into_iter().chain(self.early_at).min()
    }

    fn processing_time(&mut self, turn: &mut Turn<'_, W::Out>) -> Result<()> {
        if self.parts.firing.domain == Domain::Processing {
            self.fire(turn.now, turn);
        }
        if self.early_at.is_some_and(|at| at <= turn.now) {
            let time = self.parts.time(turn);
            let starts = self.panes.keys().flat_map(|pane| self.grid.windows_of(*pane));
            let open: std::collections::BTreeSet<_> = starts.filter(|window| !window.is_over(time)).collect();
            for window in open {
                self.give(window, turn);
            }
            self.plan_early(turn.now);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starts(grid: Grid, moment: i64) -> Vec<i64> {
        let pane = grid.pane_of(Timestamp::from_millis(moment));
        let mut starts: Vec<_> = grid.windows_of(pane).map(|window| window.start.as_millis()).collect();
        starts.reverse();
        starts
    }

    #[test]
    fn assigns_moments_to_every_window_around_them() {
        let tumbling = Grid { size: 10, slide: 10, offset: 0 };
        assert_eq!(starts(tumbling, 19), [10]);
        assert_eq!(starts(tumbling, -1), [-10]);
        assert_eq!(starts(Grid { offset: 3, ..tumbling }, 2), [-7]);
        let sliding = Grid { size: 10, slide: 4, offset: 0 };
        assert_eq!(sliding.pane(), 2);
        assert_eq!(starts(sliding, 9), [0, 4, 8]);
        assert_eq!(starts(sliding, 10), [4, 8]);
        let gaps = Grid { size: 3, slide: 5, offset: 0 };
        assert_eq!(starts(gaps, 2), [0]);
        assert_eq!(starts(gaps, 4), [0; 0]);
    }
}
