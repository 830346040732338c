//! Keyed streams: operators that remember something for each key.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::stream::{BoxedStream, Exchanged, OpenStage, Parts, Stream};
use super::windows::{Shape, Windows};
use crate::api::{Counter, Downstream, Partition, Subtask};
use crate::config::Place;
use crate::error::Result;
use crate::model::{Key, KeyGroups, OperatorId};
use crate::operators::keyed::window::{
    self, CountWindows, Domain, FixedWindows, Results, ResultsAndLate, SessionWindows, Window, WindowOut,
    WindowParts,
};
use crate::operators::keyed::{
    Aggregate, Aggregating, Count, KeyedOperator, KeyedSubtask, Process, ProcessOperator, Reducing, Sum,
};
use crate::operators::{Relay, Routed, Step};
use crate::plan::{Exchange, Graph, MakePartition, PortRef, StageInfo, StageNode, Wiring};
use crate::state::{Declare, States};

/// A stream of which all records of a key meet in the same subtask.
#[must_use = "a stream must end in a sink"]
pub struct KeyedStream<S: Step, K, F> {
    pub(super) stream: Stream<S>,
    key: F,
    types: PhantomData<fn() -> K>,
}

/// What the stage of a keyed operator reads.
pub(super) struct KeyedInput<T, K, F> {
    pub(super) parts: Parts,
    key: F,
    /// What the operator is, for reports.
    detail: String,
    /// Whether records of every stream that it reads can have an event time.
    pub(super) has_time: bool,
    /// Whether those that it gives can, whatever it reads.
    gives_time: bool,
    /// The operator's id, where it is not derived.
    id: Option<String>,
    types: PhantomData<fn(T) -> K>,
}

impl<S: Step> Stream<S> {
    /// Leads all records of a key to the same subtask, for operators that remember something for each key.
    ///
    /// `key` is called where the record is sent and where it arrives. A key belongs to one of the job's
    /// `max_parallelism` key groups by its [`Key::hash32`], and the groups to the subtasks in ranges, as in Flink.
    pub fn key_by<K, F>(self, key: F) -> KeyedStream<S, K, F>
    where
        K: Key,
        F: FnMut(&S::Out) -> K + Clone + Send + Sync + 'static,
        S::Out: Exchanged,
    {
        KeyedStream { stream: self, key, types: PhantomData }
    }
}

/// Lets the records spread by their keys.
fn by_key(mut parts: Parts) -> Parts {
    for port in &mut parts.ports {
        port.exchange = Exchange::Key;
    }
    parts
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

impl<S, K, F> KeyedStream<S, K, F>
where
    S: Step,
    S::Out: Exchanged,
    K: Key,
    F: FnMut(&S::Out) -> K + Clone + Send + Sync + 'static,
{
    /// Runs the user's own operator: states, timers, records out.
    #[track_caller]
    pub fn process<P: Process<K, S::Out>>(self, process: P) -> BoxedStream<P::Out> {
        // Its timers give what they emit the time for which they were set.
        self.into_input().gives_time().process("process", Place::here(), process)
    }

    /// The number of records of each key so far, at each record.
    #[track_caller]
    pub fn count(self) -> BoxedStream<(K, u64)> {
        self.into_input().operator("count", Place::here(), |key, _| Aggregating::new(key, Count))
    }

    /// The sum of what `value` gives for each record of a key so far, at each record.
    #[track_caller]
    pub fn sum<N, V>(self, value: V) -> BoxedStream<(K, N)>
    where
        V: Fn(&S::Out) -> N + Clone + Send + 'static,
        Sum<V>: Aggregate<S::Out, Out = N>,
        N: Send + 'static,
    {
        let place = Place::here();
        self.into_input().operator("sum", place, move |key, _| Aggregating::new(key, Sum(value.clone())))
    }

    /// The result of each key so far, at each record.
    #[track_caller]
    pub fn aggregate<A: Aggregate<S::Out>>(self, aggregate: A) -> BoxedStream<(K, A::Out)> {
        let make = move |key, _: &Wiring| Aggregating::new(key, aggregate.clone());
        self.into_input().operator("aggregate", Place::here(), make)
    }

    /// Merges each record into the one of its key, and gives that, at each record.
    #[track_caller]
    pub fn reduce<R>(self, reduce: R) -> BoxedStream<S::Out>
    where
        R: FnMut(&mut S::Out, S::Out) + Clone + Send + 'static,
    {
        let make = move |key, _: &Wiring| Reducing::new(key, reduce.clone());
        self.into_input().operator("reduce", Place::here(), make)
    }

    /// The records of each key in windows of time.
    pub fn window(self, windows: Windows) -> WindowedStream<S, K, F> {
        WindowedStream { id: None, stream: self, windows }
    }

    /// A result for every `size` records of a key; `out` makes a record of it. What is left over at the end of the
    /// input gives none.
    #[track_caller]
    pub fn count_window<A, U, O>(self, size: u64, aggregate: A, out: O) -> BoxedStream<U>
    where
        A: Aggregate<S::Out>,
        O: FnMut(&K, A::Out) -> U + Clone + Send + 'static,
        U: Send + 'static,
    {
        let place = Place::here();
        if size == 0 {
            let message = "a window of 0 records never ends";
            self.stream.job().lock().problems.add("bad-window", place, message, "write at least 1");
        }
        let input = self.into_input().described(format!("{size} records"));
        input.operator("count_window", place, move |key, _| {
            CountWindows::new(key, aggregate.clone(), size, out.clone())
        })
    }

    /// Ends the stage before, so that the operator's own can begin.
    pub(super) fn into_input(self) -> KeyedInput<S::Out, K, F> {
        KeyedInput::new(by_key(self.stream.into_ports(None)), self.key)
    }

    /// As [`KeyedStream::into_input`], with each record put into one of another type, which two streams share.
    pub(super) fn into_side<U, W>(self, place: Place, wrap: W) -> (Parts, F)
    where
        W: FnMut(S::Out) -> U + Clone + Send + 'static,
        U: Send + 'static,
    {
        let key = self.key.clone();
        // What only gathers ports needs a stage that puts the records in; by key, so that none overtakes another.
        let parts = if self.stream.is_bare() {
            self.into_input().relay(place).into_ports_of(wrap, None)
        } else {
            self.stream.into_ports_of(wrap, None)
        };
        (by_key(parts), key)
    }
}

impl<T, K, F> KeyedInput<T, K, F>
where
    T: Send + 'static,
    K: Key,
    F: FnMut(&T) -> K + Clone + Send + Sync + 'static,
{
    /// Of ports, whose records have the key that `key` gives.
    pub(super) fn new(parts: Parts, key: F) -> Self {
        let has_time = parts.job.lock().graph.has_time(&parts.ports);
        Self { parts, key, detail: String::new(), has_time, gives_time: false, id: None, types: PhantomData }
    }

    /// Says what the operator is, for reports.
    pub(super) fn described(self, detail: String) -> Self {
        Self { detail, ..self }
    }

    /// Gives the operator this id, if any.
    fn with_id(self, id: Option<String>) -> Self {
        Self { id, ..self }
    }

    /// Says that the operator itself gives its records an event time.
    pub(super) fn gives_time(self) -> Self {
        Self { gives_time: true, ..self }
    }

    /// Has it told before the job starts that `operator` would meet records without an event time.
    pub(super) fn check_time(&self, operator: &str, place: Place, remedy: &str) {
        if !self.has_time {
            let message = format!("{operator} goes by event time, and no source before it gives one");
            self.parts.job.lock().problems.add("no-event-time", place, message, remedy);
        }
    }

    /// Adds the stage of a user's operator.
    pub(super) fn process<P>(self, kind: &'static str, place: Place, process: P) -> BoxedStream<P::Out>
    where
        P: Process<K, T>,
        T: Serialize,
    {
        self.check_states(place, |states| process.clone().open(states));
        self.operator(kind, place, move |key, _| {
            ProcessOperator::new(key, process.clone()).expect("its states were declared before")
        })
    }

    /// Has what an operator declares wrongly told before the job starts.
    pub(super) fn check_states(&self, place: Place, open: impl FnOnce(&mut Declare<'_, K>) -> Result<()>) {
        if let Err(error) = open(&mut States::default().declare()) {
            self.parts.job.lock().problems.add_error("bad-state", place, &error);
        }
    }

    /// Adds the stage of an operator, which `make` makes for each subtask.
    pub(super) fn operator<O, M>(self, kind: &'static str, place: Place, make: M) -> BoxedStream<O::Out>
    where
        O: KeyedOperator<T>,
        M: Fn(F, &Wiring) -> O + Send + 'static,
    {
        let key = self.key.clone();
        let keeping = self.parts.job.lock().keeping();
        self.stage(kind, place, move |wiring, downstream| {
            let operator = make(key.clone(), wiring);
            let (clock, keeping) = (wiring.clock.clone(), keeping(wiring));
            Box::new(KeyedSubtask::new(wiring.input::<T>(), operator, downstream, clock, keeping))
        })
    }

    /// Adds the stage of an operator that goes by windows.
    pub(super) fn windows<A, W>(
        self,
        kind: &'static str,
        windows: Windows,
        place: Place,
        aggregate: A,
        out: impl Fn() -> W + Send + 'static,
    ) -> BoxedStream<W::Out>
    where
        A: Aggregate<T>,
        W: WindowOut<K, T, A::Out>,
    {
        let shape = windows.shape().unwrap_or_else(|(message, remedy)| {
            self.parts.job.lock().problems.add("bad-window", place, message, remedy);
            // The job will not start; its description goes on to find further problems.
            Shape::Session(Duration::MAX)
        });
        let (firing, late) = (windows.firing, self.late());
        if firing.domain == Domain::Event {
            self.check_time("a window", place, window::NEEDS_TIME);
        }
        let parts = move |key, wiring: &Wiring| WindowParts {
            key,
            aggregate: aggregate.clone(),
            out: out(),
            firing,
            late: late(wiring),
        };
        let input = self.described(windows.describe()).gives_time();
        match shape {
            Shape::Grid(grid) => {
                input.operator(kind, place, move |key, wiring| FixedWindows::new(parts(key, wiring), grid))
            }
            Shape::Session(gap) => {
                input.operator(kind, place, move |key, wiring| SessionWindows::new(parts(key, wiring), gap))
            }
        }
    }

    /// Gives each subtask the counter of its records that came too late.
    pub(super) fn late(&self) -> impl Fn(&Wiring) -> Counter + Send + 'static + use<T, K, F> {
        let metrics = self.parts.job.lock().metrics.clone();
        move |wiring| metrics.counter(&wiring.subtask.operator.0, "late")
    }

    /// Adds a stage that passes each record on in the subtask of its key.
    pub(super) fn relay(self, place: Place) -> BoxedStream<T> {
        self.stage("relay", place, |wiring, downstream| Box::new(Relay::new(wiring.input::<T>(), downstream)))
    }

    /// Adds a stage, of whose head `build` makes each subtask.
    fn stage<U, B>(self, kind: &'static str, place: Place, build: B) -> BoxedStream<U>
    where
        U: Send + 'static,
        B: FnMut(&mut Wiring, Downstream<U>) -> Box<dyn Subtask> + Send + 'static,
    {
        let Self { parts: Parts { job, ports, behind_dirty }, key, detail, gives_time, id, .. } = self;
        let (head, groups) = {
            let mut builder = job.lock();
            let mut head = builder.numbered(kind, place);
            head.id = id.as_deref().map_or(head.id, OperatorId::from);
            (head, builder.key_groups())
        };
        let partition: MakePartition<T> =
            Arc::new(move |parallelism| Box::new(ByKey { key: key.clone(), groups, parallelism }));
        let info = StageInfo { detail, behind_dirty, keyed: true, gives_time, ..StageInfo::new(head) };
        let add = Box::new(move |graph: &mut Graph, node: StageNode, reads: &[PortRef]| {
            graph.add_keyed_stage(node, reads, partition)
        });
        BoxedStream::from_stage(&job, OpenStage { info, build: Box::new(build), reads: ports, add })
    }
}

/// The records of a keyed stream in windows.
#[must_use = "a stream must end in a sink"]
pub struct WindowedStream<S: Step, K, F> {
    id: Option<String>,
    pub(super) stream: KeyedStream<S, K, F>,
    pub(super) windows: Windows,
}

impl<S, K, F> WindowedStream<S, K, F>
where
    S: Step,
    S::Out: Exchanged,
    K: Key,
    F: FnMut(&S::Out) -> K + Clone + Send + Sync + 'static,
{
    /// Gives the windows this id, by which their state is restored; without it, it is derived from their place among the
    /// job's windows. `.id` behind a result does the same, but where there are two streams, as with late records.
    pub fn id(self, id: &str) -> Self {
        Self { id: Some(id.to_owned()), ..self }
    }

    /// Ends the stage before, so that the windows' own can begin.
    pub(super) fn into_input(self) -> (KeyedInput<S::Out, K, F>, Windows) {
        (self.stream.into_input().with_id(self.id), self.windows)
    }

    /// The result of each key in each window; `out` makes a record of it, whose event time is the window's last
    /// millisecond. Records that come too late are counted as `late` and dropped.
    #[track_caller]
    pub fn aggregate<A, U, O>(self, aggregate: A, out: O) -> BoxedStream<U>
    where
        A: Aggregate<S::Out>,
        O: FnMut(&K, Window, A::Out) -> U + Clone + Send + 'static,
        U: Send + 'static,
    {
        let out = move || Results(out.clone());
        let (input, windows) = self.into_input();
        input.windows("window", windows, Place::here(), aggregate, out)
    }

    /// As [`WindowedStream::aggregate`]; the second stream is the side output `name` of records that came too late.
    #[track_caller]
    pub fn aggregate_with_late<A, U, O>(
        self,
        name: &str,
        aggregate: A,
        out: O,
    ) -> (BoxedStream<U>, BoxedStream<S::Out>)
    where
        A: Aggregate<S::Out>,
        O: FnMut(&K, Window, A::Out) -> U + Clone + Send + 'static,
        U: Send + 'static,
    {
        let out = move || ResultsAndLate(out.clone());
        let (input, windows) = self.into_input();
        let both = input.windows("window", windows, Place::here(), aggregate, out);
        both.side_output(name, |routed: Routed<U, S::Out>| routed)
    }
}
