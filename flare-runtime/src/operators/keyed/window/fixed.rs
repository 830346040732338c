//! Windows on a grid of time, tumbling or sliding.
//!
//! A window is a row of panes, which windows that overlap share (Li et al., "No Pane, No Gain", 2005): a record is
//! added to one accumulator, however many windows it belongs to.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::marker::PhantomData;

use indexmap::IndexMap;

use super::grid::Grid;
use super::{Domain, WINDOWS, Window, WindowOut, WindowParts};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Batch, Key, Meta, Timestamp};
use crate::operators::keyed::{Aggregate, KeyedOperator, Turn};
use crate::state::{Backend, SnapshotReader, SnapshotWriter, Table};

/// The name under which is kept where windows begin and end.
const GRID: &str = "flare.grid";

/// The name under which is kept which windows have given their results.
const FIRED: &str = "flare.fired";

/// Windows on a grid.
pub struct FixedWindows<K, T, F, A: Aggregate<T>, W> {
    parts: WindowParts<F, A, W>,
    grid: Grid,
    backend: Backend,
    panes: BTreeMap<i64, Table<K, A::Accumulator>>,
    /// Windows that start before this moment are over, and have given their result if they had any record.
    fired: i64,
    /// Keys of which more windows are given: subtasks that became one in a restore had not come equally far.
    ahead: BTreeMap<K, i64>,
    /// When what there is so far is given next.
    early_at: Option<Timestamp>,
    types: PhantomData<fn(T)>,
}

/// A pane while records are added to it.
struct Spot<K, A> {
    pane: Window,
    fate: Fate<K, A>,
}

/// What becomes of a pane's records.
#[cfg_attr(
    feature = "disk-state",
    expect(
        clippy::large_enum_variant,
        reason = "there is one at a time, and a box would cost a record more"
    )
)]
enum Fate<K, A> {
    /// They belong to no window.
    Nowhere,
    /// All windows are closed.
    Late,
    Open {
        table: Table<K, A>,
        /// Windows that have given their results and still take records.
        again: Vec<Window>,
    },
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
        let (backend, ahead) = (Backend::Memory, BTreeMap::new());
        Self { parts, grid, backend, panes, fired, ahead, early_at: None, types: PhantomData }
    }

    /// Whether the window takes no records any more.
    fn is_closed(&self, window: Window, time: Timestamp) -> bool {
        window.last().saturating_add(self.parts.firing.lateness) <= time
    }

    /// Gives the results of all windows that are over and have not given theirs, in their order.
    fn fire(&mut self, time: Timestamp, turn: &mut Turn<'_, W::Out>) -> Result<()> {
        while let Some(window) = self.next_window().filter(|window| window.is_over(time)) {
            self.give(window, turn)?;
            self.fired = window.start.as_millis().saturating_add(1);
        }
        self.fired = self.fired.max(self.grid.first_open(time));
        self.ahead.retain(|_, fired| *fired > self.fired);
        let closed = |pane: &i64| {
            let lateness = self.parts.firing.lateness;
            self.grid.last_of(*pane).is_none_or(|window| window.last().saturating_add(lateness) <= time)
        };
        while self.panes.first_key_value().is_some_and(|(pane, _)| closed(pane)) {
            self.panes.pop_first();
        }
        Ok(())
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
    fn give(&mut self, window: Window, turn: &mut Turn<'_, W::Out>) -> Result<()> {
        let Self { parts, panes, ahead, .. } = self;
        let start = window.start.as_millis();
        let is_given = |key: &K| ahead.get(key).is_some_and(|fired| start < *fired);
        let inside = panes.range_mut(start..window.end.as_millis());
        let mut inside = inside.map(|(_, pane)| pane);
        let (Some(first), second) = (inside.next(), inside.next()) else { return Ok(()) };
        let Some(second) = second else {
            return first.for_each(|key, accumulator| {
                if !is_given(key) {
                    parts.emit(key, window, accumulator, turn);
                }
                Ok(())
            });
        };
        // Nobody knows how many keys the panes have in common; most often it is most of them.
        let room = first.len().max(second.len());
        let mut merged: IndexMap<K, A::Accumulator, ahash::RandomState> =
            IndexMap::with_capacity_and_hasher(room, ahash::RandomState::default());
        for pane in [first, second].into_iter().chain(inside) {
            pane.for_each(|key, accumulator| {
                match merged.get_mut(key) {
                    Some(known) => parts.aggregate.merge(known, accumulator),
                    None => drop(merged.insert(key.clone(), accumulator.clone())),
                }
                Ok(())
            })?;
        }
        for (key, accumulator) in merged.iter().filter(|(key, _)| !is_given(key)) {
            parts.emit(key, window, accumulator, turn);
        }
        Ok(())
    }

    /// Gives the result of one key in a window that has given its own before.
    fn give_again(&mut self, key: &K, window: Window, turn: &mut Turn<'_, W::Out>) -> Result<()> {
        let Self { parts, panes, .. } = self;
        let mut merged: Option<A::Accumulator> = None;
        for (_, pane) in panes.range_mut(window.start.as_millis()..window.end.as_millis()) {
            let Some(accumulator) = pane.get(key, turn.now)? else { continue };
            match &mut merged {
                Some(known) => parts.aggregate.merge(known, accumulator),
                None => merged = Some(accumulator.clone()),
            }
        }
        if let Some(accumulator) = merged {
            parts.emit(key, window, &accumulator, turn);
        }
        Ok(())
    }

    /// Goes to the pane of a moment, whose table is out of the others until [`FixedWindows::leave`].
    fn enter(&mut self, moment: Timestamp, time: Timestamp) -> Result<Spot<K, A::Accumulator>> {
        let pane = self.grid.pane_of(moment);
        let start = pane.start.as_millis();
        // Between windows that are shorter than their slide, a record belongs to none.
        let Some(last) = self.grid.last_of(start) else {
            return Ok(Spot { pane, fate: Fate::Nowhere });
        };
        if self.is_closed(last, time) {
            return Ok(Spot { pane, fate: Fate::Late });
        }
        let over = self.grid.windows_of(start).filter(|window| window.is_over(time));
        let mut again: Vec<_> = over.filter(|window| !self.is_closed(*window, time)).collect();
        again.reverse();
        let table = match self.panes.remove(&start) {
            Some(table) => table,
            None => self.backend.table(WINDOWS, None)?,
        };
        Ok(Spot { pane, fate: Fate::Open { table, again } })
    }

    fn leave(&mut self, spot: Spot<K, A::Accumulator>) {
        if let Fate::Open { table, .. } = spot.fate {
            self.panes.insert(spot.pane.start.as_millis(), table);
        }
    }

    /// Adds a record to its pane, and renews the results of windows that have given theirs.
    fn record(
        &mut self,
        spot: &mut Spot<K, A::Accumulator>,
        item: T,
        meta: Meta,
        turn: &mut Turn<'_, W::Out>,
    ) -> Result<()> {
        let (table, again) = match &mut spot.fate {
            Fate::Nowhere => return Ok(()),
            Fate::Late => {
                self.parts.too_late(item, meta, turn);
                return Ok(());
            }
            Fate::Open { table, again } => (table, again),
        };
        let key = (self.parts.key)(&item);
        // What its windows have given lacks this record.
        self.ahead.remove(&key);
        let aggregate = &self.parts.aggregate;
        aggregate.add_owned(table.get_or_insert_with(&key, turn.now, || aggregate.create())?, item);
        if !again.is_empty() {
            let (start, windows) = (spot.pane.start.as_millis(), again.clone());
            self.panes.insert(start, std::mem::replace(table, Table::new(None)));
            for window in windows {
                self.give_again(&key, window, turn)?;
            }
            *table = self.panes.remove(&start).expect("just put there");
        }
        Ok(())
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
        let mut spot: Option<Spot<K, A::Accumulator>> = None;
        for (item, meta) in batch.into_records() {
            turn.stage.current = meta;
            let moment = self.parts.moment(meta, turn)?;
            if spot.as_ref().is_none_or(|spot| moment < spot.pane.start || spot.pane.end <= moment) {
                spot.take().into_iter().for_each(|spot| self.leave(spot));
            }
            // Moved only when the pane changes: it holds a whole table.
            if spot.is_none() {
                spot = Some(self.enter(moment, time)?);
            }
            let here = spot.as_mut().expect("just entered");
            self.record(here, item, meta, turn)?;
        }
        spot.into_iter().for_each(|spot| self.leave(spot));
        if self.early_at.is_none() {
            self.plan_early(turn.now);
        }
        Ok(())
    }

    fn watermark(&mut self, turn: &mut Turn<'_, W::Out>) -> Result<()> {
        if self.parts.firing.domain == Domain::Event {
            self.fire(turn.watermark, turn)?;
        } else if turn.watermark == Timestamp::MAX {
            // The input has ended, and nobody waits for the clock.
            self.fire(Timestamp::MAX, turn)?;
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
            self.fire(turn.now, turn)?;
        }
        if self.early_at.is_some_and(|at| at <= turn.now) {
            let time = self.parts.time(turn);
            let starts = self.panes.keys().flat_map(|pane| self.grid.windows_of(*pane));
            let open: std::collections::BTreeSet<_> = starts.filter(|window| !window.is_over(time)).collect();
            for window in open {
                self.give(window, turn)?;
            }
            self.plan_early(turn.now);
        }
        Ok(())
    }

    fn open(&mut self, backend: &Backend) -> Result<()> {
        self.backend = backend.clone();
        Ok(())
    }

    fn snapshot(&mut self, writer: &mut SnapshotWriter) -> Result<()> {
        writer.own(FIRED, &self.fired)?;
        writer.own(GRID, &self.grid.to_string())?;
        let mut table = writer.table::<K, (i64, i64, A::Accumulator)>(WINDOWS, false)?;
        let Self { panes, ahead, fired, .. } = self;
        panes.iter_mut().try_for_each(|(start, pane)| {
            pane.for_each(|key, accumulator| {
                let fired = ahead.get(key).unwrap_or(fired);
                table.put(key, Timestamp::MIN, &(start, fired, accumulator))
            })
        })
    }

    fn restore(&mut self, reader: &SnapshotReader<'_>, now: Timestamp) -> Result<()> {
        let today = self.grid.to_string();
        if let Some(before) = reader.own::<String>(GRID)?.into_iter().find(|before| *before != today) {
            let message = "the snapshot holds windows of another length, slide or offset";
            let error = Error::new(ErrorKind::Config, message).with("was", before).with("is", today);
            return Err(error.with_remedy("keep the windows, or begin the job anew"));
        }
        self.fired = reader.own(FIRED)?.into_iter().min().unwrap_or(i64::MIN);
        let Self { panes, backend, ahead, fired, .. } = self;
        reader.table(WINDOWS, |key: K, _, (start, given, accumulator): (i64, i64, A::Accumulator)| {
            if given > *fired {
                ahead.insert(key.clone(), given);
            }
            let pane = match panes.entry(start) {
                Entry::Occupied(pane) => pane.into_mut(),
                Entry::Vacant(free) => free.insert(backend.table(WINDOWS, None)?),
            };
            pane.insert(&key, accumulator, now)
        })?;
        self.plan_early(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::api::{Counter, Restored, Snapshot};
    use crate::model::KeyGroups;
    use crate::operators::keyed::Count;
    use crate::operators::keyed::testing::Bench;
    use crate::operators::keyed::window::{Firing, Results};

    const GROUPS: KeyGroups = KeyGroups { count: 4 };

    type Out = fn(&u8, Window, u64) -> (u8, i64);
    type Sliding = FixedWindows<u8, u8, fn(&u8) -> u8, Count, Results<Out>>;

    /// Windows of 30 ms every 10 ms; a result is the key and the window's end.
    fn sliding() -> Sliding {
        let firing = Firing { domain: Domain::Event, lateness: Duration::ZERO, early: None };
        let out = Results::<Out>(|key, window, _| (*key, window.end.as_millis()));
        let parts = WindowParts {
            key: (|key: &u8| *key) as fn(&u8) -> u8,
            aggregate: Count,
            out,
            firing,
            late: Counter::default(),
        };
        FixedWindows::new(parts, Grid::even(30, 10, 0))
    }

    fn at_watermark(key: u8, watermark: i64) -> Bench<u8, Sliding> {
        let mut bench = Bench::new(sliding());
        bench.record(key, 5);
        bench.watermark(watermark);
        bench
    }

    fn snapshot(mut bench: Bench<u8, Sliding>) -> Arc<Snapshot> {
        let mut writer = SnapshotWriter::new(GROUPS);
        bench.operator.snapshot(&mut writer).expect("plain data");
        Arc::new(writer.finish())
    }

    fn restore(parts: Vec<Arc<Snapshot>>) -> Bench<u8, Sliding> {
        let restored = Restored { parts, groups: 0..GROUPS.count, drops_unread: false };
        let mut operator = sliding();
        let reader = SnapshotReader::new(&restored, GROUPS);
        operator.restore(&reader, Timestamp::MIN).expect("its own snapshots");
        Bench::new(operator)
    }

    fn results(bench: &mut Bench<u8, Sliding>) -> Vec<(u8, i64)> {
        let mut results: Vec<_> = bench.take().into_iter().map(|(result, _)| result).collect();
        results.sort_unstable();
        results
    }

    #[test]
    fn subtasks_that_became_one_give_each_window_once() {
        let (mut ahead, behind) = (at_watermark(1, 20), at_watermark(2, 5));
        assert_eq!(results(&mut ahead), [(1, 10), (1, 20)]);
        let both = restore(vec![snapshot(ahead), snapshot(behind)]);
        // Twice, with nothing between.
        let mut again = restore(vec![snapshot(both)]);
        again.watermark(40);
        assert_eq!(results(&mut again), [(1, 30), (2, 10), (2, 20), (2, 30)]);
        assert!(again.operator.ahead.is_empty() && again.operator.panes.is_empty());
    }

    #[test]
    fn a_record_behind_a_restore_is_in_each_window() {
        let (ahead, behind) = (at_watermark(1, 20), at_watermark(2, 5));
        let mut both = restore(vec![snapshot(ahead), snapshot(behind)]);
        both.watermark(6);
        both.record(1, 15);
        both.watermark(25);
        assert!(results(&mut both).contains(&(1, 20)), "it has not come with that record yet");
    }
}
