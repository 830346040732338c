//! Keyed streams: operators that remember something for each key.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use super::stream::{BoxedStream, Exchanged, OpenStage, Parts, Stream};
use crate::api::{Counter, Downstream, Partition, Subtask};
use crate::config::Place;
use crate::model::{Key, KeyGroups};
use crate::operators::keyed::window::{
    CountWindows, Domain, Firing, FixedWindows, Grid, Results, ResultsAndLate, SessionWindows, Window,
    WindowOut, WindowParts,
};
use crate::operators::keyed::{
    Aggregate, Aggregating, Count, KeyedOperator, KeyedSubtask, Process, ProcessOperator, Reducing, Sum,
};
use crate::operators::{Routed, Step};
use crate::plan::{Exchange, Graph, MakePartition, PortRef, StageInfo, StageNode, Wiring};
use crate::state::States;

/// A stream of which all records of a key meet in the same subtask.
#[must_use = "a stream must end in a sink"]
pub struct KeyedStream<T, K, F> {
    parts: Parts,
    key: F,
    types: PhantomData<fn(T) -> K>,
}

impl<S: Step> Stream<S> {
    /// Leads all records of a key to the same subtask, for operators that remember something for each key.
    ///
    /// `key` is called where the record is sent and where it arrives. A key belongs to one of the job's
    /// `max_parallelism` key groups by its [`Key::hash32`], and the groups to the subtasks in ranges, as in Flink.
    pub fn key_by<K, F>(self, key: F) -> KeyedStream<S::Out, K, F>
    where
        K: Key,
        F: FnMut(&S::Out) -> K + Clone + Send + Sync + 'static,
        S::Out: Exchanged,
    {
        let mut parts = self.into_ports(None);
        for port in &mut parts.ports {
            port.exchange = Exchange::Key;
        }
        KeyedStream { parts, key, types: PhantomData }
    }
}

/// Says which subtask a record's key belongs to.
struct ByKey<F> {
    key: F,
    groups: KeyGroups,
    parallelism: usize,
}

impl<T, K: Key, F: FnMut(&T) -> K + Send> Partition<T> for ByKey<F> {
    fn lanes(&mut self, items: &[T], lanes: &mut Vec<usize>) {
        let Self { key, groups, parallelism } = self;
        lanes.extend(items.iter().map(|item| groups.subtask(groups.of(&key(item)), *parallelism)));
    }
}

impl<T, K, F> KeyedStream<T, K, F>
where
    T: Exchanged,
    K: Key,
    F: FnMut(&T) -> K + Clone + Send + Sync + 'static,
{
    /// Runs the user's own operator: states, timers, records out.
    #[track_caller]
    pub fn process<P: Process<K, T>>(self, process: P) -> BoxedStream<P::Out> {
        let place = Place::here();
        // What it declares wrongly is told before the job starts.
        if let Err(error) = process.clone().open(States::default().declare()) {
            self.parts.job.lock().problems.add_error("bad-state", place, &error);
        }
        self.operator("process", place, move |key, _| {
            ProcessOperator::new(key, process.clone()).expect("its states were declared before")
        })
    }

    /// The number of records of each key so far, at each record.
    #[track_caller]
    pub fn count(self) -> BoxedStream<(K, u64)> {
        self.operator("count", Place::here(), |key, _| Aggregating::new(key, Count))
    }

    /// The sum of what `value` gives for each record of a key so far, at each record.
    #[track_caller]
    pub fn sum<N, V>(self, value: V) -> BoxedStream<(K, N)>
    where
        V: Fn(&T) -> N + Clone + Send + 'static,
        Sum<V>: Aggregate<T, Out = N>,
        N: Send + 'static,
    {
        self.operator("sum", Place::here(), move |key, _| Aggregating::new(key, Sum(value.clone())))
    }

    /// The result of each key so far, at each record.
    #[track_caller]
    pub fn aggregate<A: Aggregate<T>>(self, aggregate: A) -> BoxedStream<(K, A::Out)> {
        self.operator("aggregate", Place::here(), move |key, _| Aggregating::new(key, aggregate.clone()))
    }

    /// Merges each record into the one of its key, and gives that, at each record.
    #[track_caller]
    pub fn reduce<R>(self, reduce: R) -> BoxedStream<T>
    where
        R: FnMut(&mut T, T) + Clone + Send + 'static,
    {
        self.operator("reduce", Place::here(), move |key, _| Reducing::new(key, reduce.clone()))
    }

    /// The records of each key in windows of time.
    pub fn window(self, windows: Windows) -> WindowedStream<T, K, F> {
        WindowedStream { stream: self, windows }
    }

    /// A result for every `size` records of a key; `out` makes a record of it. What is left over at the end of the
    /// input gives none.
    #[track_caller]
    pub fn count_window<A, U, O>(self, size: u64, aggregate: A, out: O) -> BoxedStream<U>
    where
        A: Aggregate<T>,
        O: FnMut(&K, A::Out) -> U + Clone + Send + 'static,
        U: Send + 'static,
    {
        let place = Place::here();
        if size == 0 {
            let message = "a window of 0 records never ends";
            self.parts.job.lock().problems.add("bad-window", place, message, "write at least 1");
        }
        self.operator("count_window", place, move |key, _| {
            CountWindows::new(key, aggregate.clone(), size, out.clone())
        })
    }

    /// Adds the stage of an operator, which `make` makes for each subtask.
    fn operator<O, M>(self, kind: &'static str, place: Place, make: M) -> BoxedStream<O::Out>
    where
        O: KeyedOperator<T>,
        M: Fn(F, &Wiring) -> O + Send + 'static,
    {
        let Self { parts: Parts { job, ports, behind_dirty }, key, .. } = self;
        let (head, groups) = {
            let mut builder = job.lock();
            (builder.numbered(kind, place), builder.key_groups())
        };
        let partition: MakePartition<T> = {
            let key = key.clone();
            Arc::new(move |parallelism| Box::new(ByKey { key: key.clone(), groups, parallelism }))
        };
        let build = move |wiring: &mut Wiring, downstream: Downstream<O::Out>| -> Box<dyn Subtask> {
            let operator = make(key.clone(), wiring);
            let clock = wiring.clock.clone();
            Box::new(KeyedSubtask::new(wiring.input::<T>(), operator, downstream, clock))
        };
        let info = StageInfo { behind_dirty, keyed: true, ..StageInfo::new(head) };
        let add = Box::new(move |graph: &mut Graph, node: StageNode, reads: &[PortRef]| {
            graph.add_keyed_stage(node, reads, partition)
        });
        BoxedStream::from_stage(&job, OpenStage { info, build: Box::new(build), reads: ports, add })
    }
}

/// Windows of time, and when they give results.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    kind: Kind,
    offset: Duration,
    firing: Firing,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Fixed { size: Duration, slide: Duration },
    Session { gap: Duration },
}

impl Windows {
    const fn new(kind: Kind) -> Self {
        let firing = Firing { domain: Domain::Event, lateness: Duration::ZERO, early: None };
        Self { kind, offset: Duration::ZERO, firing }
    }

    /// Windows of `size` one after the other, beginning at 1970-01-01T00:00:00Z.
    pub const fn tumbling(size: Duration) -> Self {
        Self::new(Kind::Fixed { size, slide: size })
    }

    /// Windows of `size`, of which one begins every `slide`.
    pub const fn sliding(size: Duration, slide: Duration) -> Self {
        Self::new(Kind::Fixed { size, slide })
    }

    /// The records of a key that follow one another within `gap`, which may be in any order. Two records exactly `gap`
    /// apart belong together.
    pub const fn session(gap: Duration) -> Self {
        Self::new(Kind::Session { gap })
    }

    /// Shifts the beginnings of windows, such as to the midnight of a time zone: eight hours before UTC's in UTC+8 is
    /// an offset of sixteen hours.
    #[must_use]
    pub const fn offset(mut self, offset: Duration) -> Self {
        self.offset = offset;
        self
    }

    /// How long after its end, in event time, a window still takes late records: each of them gives its result anew.
    /// The default is none.
    #[must_use]
    pub const fn allowed_lateness(mut self, lateness: Duration) -> Self {
        self.firing.lateness = lateness;
        self
    }

    /// Gives what a window has so far every `every` of processing time, before its end.
    #[must_use]
    pub const fn early(mut self, every: Duration) -> Self {
        self.firing.early = Some(every);
        self
    }

    /// Goes by the time of the machine instead of that of the records. What is open at the end of the input gives its
    /// result then.
    #[must_use]
    pub const fn processing_time(mut self) -> Self {
        self.firing.domain = Domain::Processing;
        self
    }

    /// What cannot be: a message and a remedy.
    fn problem(&self) -> Option<(&'static str, &'static str)> {
        let too_short = |duration: Duration| duration.as_millis() == 0;
        match self.kind {
            Kind::Fixed { size, slide } if too_short(size) || too_short(slide) => {
                Some(("a window needs a size and a slide of at least 1 ms", "write for instance one minute"))
            }
            Kind::Session { gap } if too_short(gap) => {
                Some(("a session needs a gap of at least 1 ms", "write for instance ten minutes"))
            }
            Kind::Session { .. } if self.firing.early.is_some() || !self.offset.is_zero() => {
                Some(("a session has neither early results nor an offset", "remove them"))
            }
            _ if self.firing.early.is_some_and(too_short) => {
                Some(("early results need at least 1 ms between them", "write for instance ten seconds"))
            }
            _ => None,
        }
    }

    fn grid(&self, size: Duration, slide: Duration) -> Grid {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1);
        let slide = millis(slide);
        let offset = i64::try_from(self.offset.as_millis()).unwrap_or(0) % slide;
        Grid::even(millis(size), slide, offset)
    }
}

/// The records of a keyed stream in windows.
#[must_use = "a stream must end in a sink"]
pub struct WindowedStream<T, K, F> {
    stream: KeyedStream<T, K, F>,
    windows: Windows,
}

impl<T, K, F> WindowedStream<T, K, F>
where
    T: Exchanged,
    K: Key,
    F: FnMut(&T) -> K + Clone + Send + Sync + 'static,
{
    /// The result of each key in each window; `out` makes a record of it, whose event time is the window's last
    /// millisecond. Records that come too late are counted as `late` and dropped.
    #[track_caller]
    pub fn aggregate<A, U, O>(self, aggregate: A, out: O) -> BoxedStream<U>
    where
        A: Aggregate<T>,
        O: FnMut(&K, Window, A::Out) -> U + Clone + Send + 'static,
        U: Send + 'static,
    {
        self.windows(aggregate, Place::here(), move || Results(out.clone()))
    }

    /// As [`WindowedStream::aggregate`]; the second stream is the side output `name` of records that came too late.
    #[track_caller]
    pub fn aggregate_with_late<A, U, O>(
        self,
        name: &str,
        aggregate: A,
        out: O,
    ) -> (BoxedStream<U>, BoxedStream<T>)
    where
        A: Aggregate<T>,
        O: FnMut(&K, Window, A::Out) -> U + Clone + Send + 'static,
        U: Send + 'static,
    {
        let both = self.windows(aggregate, Place::here(), move || ResultsAndLate(out.clone()));
        both.side_output(name, |routed: Routed<U, T>| routed)
    }

    fn windows<A, W>(
        self,
        aggregate: A,
        place: Place,
        out: impl Fn() -> W + Send + 'static,
    ) -> BoxedStream<W::Out>
    where
        A: Aggregate<T>,
        W: WindowOut<K, T, A::Out>,
    {
        let Self { stream, windows } = self;
        let metrics = {
            let mut builder = stream.parts.job.lock();
            if let Some((message, remedy)) = windows.problem() {
                builder.problems.add("bad-window", place, message, remedy);
            }
            builder.metrics.clone()
        };
        let firing = windows.firing;
        let parts = move |key, wiring: &Wiring| {
            let late: Counter = metrics.counter(&wiring.subtask.operator.0, "late");
            WindowParts { key, aggregate: aggregate.clone(), out: out(), firing, late }
        };
        match windows.kind {
            Kind::Fixed { size, slide } => {
                let grid = windows.grid(size, slide);
                stream
                    .operator("window", place, move |key, wiring| FixedWindows::new(parts(key, wiring), grid))
            }
            Kind::Session { gap } => stream
                .operator("window", place, move |key, wiring| SessionWindows::new(parts(key, wiring), gap)),
        }
    }
}
