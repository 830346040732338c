//! Typed streams: the operators of a job.

use std::any::{Any, TypeId};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::builder::Handle;
use crate::api::{Consumer, Downstream, Subtask};
use crate::config::Place;
use crate::error::{BoxError, Result};
use crate::model::OperatorId;
use crate::operators::{
    Filter, FlatMap, ForEach, Identity, Inspect, Map, Pass, Relay, Routed, Split, Step, TryMap,
};
use crate::plan::{Exchange, Graph, OperatorInfo, PortRef, Role, StageInfo, StageNode, Wiring};

/// Makes the head of a stage for one subtask.
pub(crate) type BuildHead<T> = Box<dyn FnMut(&mut Wiring, Downstream<T>) -> Box<dyn Subtask> + Send>;
/// Makes what takes a stage's records in one subtask.
pub(crate) type BuildConsumer<T> = Box<dyn FnMut(&mut Wiring) -> Box<dyn Consumer<T>> + Send>;

/// A stage whose end is not known yet.
pub(crate) struct OpenStage<T> {
    pub(crate) info: StageInfo,
    pub(crate) build: BuildHead<T>,
    pub(crate) reads: Vec<PortRef>,
    /// [`Graph::add_stage`] for the type of its input.
    pub(crate) add: AddStage,
}

/// Adds a stage and the edges that it reads.
pub(crate) type AddStage = Box<dyn FnOnce(&mut Graph, StageNode, &[PortRef]) -> usize + Send>;

/// Where a stream's records come from.
enum Head<T> {
    Stage(OpenStage<T>),
    Ports(Vec<PortRef>),
}

/// Records of type `S::Out` on their way, with the operators that were fused so far.
///
/// The type holds the composed closures, so that a row of `map`, `filter` and the like is compiled to one loop. Use
/// [`Stream::boxed`] where the type has to be named.
#[must_use = "a stream must end in a sink"]
pub struct Stream<S: Step> {
    job: Handle,
    head: Head<S::In>,
    step: S,
    fused: Vec<OperatorInfo>,
    parallelism: Option<usize>,
    behind_dirty: bool,
    end: usize,
}

/// A stream whose operators are hidden: `BoxedStream<Order>`.
pub type BoxedStream<T> = Stream<Identity<T>>;

/// A record type that may travel between subtasks.
#[diagnostic::on_unimplemented(
    message = "records of type `{Self}` cannot be exchanged between subtasks",
    label = "this needs `Clone`, `Serialize` and `Deserialize`",
    note = "write `#[derive(Clone, Serialize, Deserialize)]` on `{Self}`"
)]
pub trait Exchanged: Clone + Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Serialize + DeserializeOwned + Send + 'static> Exchanged for T {}

impl<T: Send + 'static> BoxedStream<T> {
    pub(crate) fn from_stage(job: &Handle, stage: OpenStage<T>) -> Self {
        let end = job.lock().open_end(stage.info.head.clone());
        let (job, behind_dirty) = (job.clone(), stage.info.behind_dirty);
        let head = Head::Stage(stage);
        Self { job, head, step: Identity::default(), fused: Vec::new(), parallelism: None, behind_dirty, end }
    }

    fn from_ports(job: Handle, ports: Vec<PortRef>, last: OperatorInfo, behind_dirty: bool) -> Self {
        let end = job.lock().open_end(last);
        let head = Head::Ports(ports);
        Self { job, head, step: Identity::default(), fused: Vec::new(), parallelism: None, behind_dirty, end }
    }
}

impl<S: Step> Stream<S> {
    /// One record to one record.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// let numbers = job.values("numbers", vec![1, 2, 3]);
    /// numbers.map(|n| n * 2).for_each(|n| println!("{n}")); // 2, 4, 6
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn map<U, F>(self, function: F) -> Stream<Map<S, F>>
    where
        F: FnMut(S::Out) -> U + Clone + Send + 'static,
        U: Send + 'static,
    {
        self.fuse("map", |step| Map::new(step, function))
    }

    /// One record to one record; an error turns the record aside to the dirty-data output.
    ///
    /// The function borrows the record, so that a record that fails is still whole when it is turned aside. Any error
    /// type will do.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// let texts = job.values("texts", vec!["1".to_owned(), "one".to_owned()]);
    /// let numbers = texts.try_map(|text| text.parse::<u32>()); // "one" goes to the dirty-data output
    /// numbers.for_each(|n| println!("{n}")); // 1
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn try_map<U, X, F>(self, function: F) -> Stream<TryMap<S, F>>
    where
        F: FnMut(&S::Out) -> Result<U, X> + Clone + Send + 'static,
        X: Into<BoxError>,
        U: Send + 'static,
        S::Out: Serialize,
    {
        self.fuse("try_map", |step| TryMap::new(step, function))
    }

    /// Keeps the records for which `function` is true.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// let numbers = job.values("numbers", vec![1, 2, 3]);
    /// numbers.filter(|n| n % 2 == 1).for_each(|n| println!("{n}")); // 1, 3
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn filter<F>(self, function: F) -> Stream<Filter<S, F>>
    where
        F: FnMut(&S::Out) -> bool + Clone + Send + 'static,
    {
        self.fuse("filter", |step| Filter::new(step, function))
    }

    /// One record to any number of records.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// let numbers = job.values("numbers", vec![1, 2]);
    /// numbers.flat_map(|n| [n, n * 10]).for_each(|n| println!("{n}")); // 1, 10, 2, 20
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn flat_map<I, F>(self, function: F) -> Stream<FlatMap<S, F>>
    where
        F: FnMut(S::Out) -> I + Clone + Send + 'static,
        I: IntoIterator,
        I::Item: Send + 'static,
    {
        self.fuse("flat_map", |step| FlatMap::new(step, function))
    }

    /// Looks at each record.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// let numbers = job.values("numbers", vec![1, 2]);
    /// numbers.inspect(|n| println!("read {n}")).map(|n| n * 2).for_each(|n| println!("made {n}"));
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn inspect<F>(self, function: F) -> Stream<Inspect<S, F>>
    where
        F: FnMut(&S::Out) + Clone + Send + 'static,
    {
        self.fuse("inspect", |step| Inspect::new(step, function))
    }

    #[track_caller]
    fn fuse<N: Step<In = S::In>>(mut self, kind: &'static str, compose: impl FnOnce(S) -> N) -> Stream<N> {
        let place = Place::here();
        let operator = {
            let mut builder = self.job.lock();
            let operator = builder.numbered(kind, place);
            builder.move_end(self.end, operator.clone());
            operator
        };
        self.fused.push(operator);
        Stream {
            job: self.job,
            head: self.head,
            step: compose(self.step),
            fused: self.fused,
            parallelism: self.parallelism,
            behind_dirty: self.behind_dirty,
            end: self.end,
        }
    }

    /// Gives the last operator a stable id, by which state is restored and configuration finds it.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// let numbers = job.values("numbers", vec![1, 2]);
    /// let doubled = numbers.map(|n| n * 2).id("double"); // without it: `map-1`
    /// doubled.for_each(|n| println!("{n}"));
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn id(mut self, id: &str) -> Self {
        match self.last_mut() {
            Some(operator) => {
                operator.id = OperatorId::from(id);
                let operator = operator.clone();
                self.job.lock().move_end(self.end, operator);
            }
            None => self.nothing_to_name(Place::here()),
        }
        self
    }

    /// Gives the last operator a name for reports.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// let numbers = job.values("numbers", vec![1, 2]);
    /// numbers.map(|n| n * 2).name("twice as much").for_each(|n| println!("{n}"));
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn name(mut self, name: &str) -> Self {
        match self.last_mut() {
            Some(operator) => name.clone_into(&mut operator.name),
            None => self.nothing_to_name(Place::here()),
        }
        self
    }

    /// A union, a rebalance and the like are no operators of their own.
    fn nothing_to_name(&self, place: Place) {
        let message = "there is no operator here that could have an id or a name";
        let remedy = "write `.id(\"…\")` and `.name(\"…\")` behind an operator such as `map` or `lookup`";
        self.job.lock().problems.add("nothing-to-name", place, message, remedy);
    }

    /// Sets the number of subtasks of the stage that the last operator belongs to.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// let numbers = job.values("numbers", vec![1, 2, 3]).rebalance();
    /// numbers.map(|n| n * 2).parallelism(4).for_each(|n| println!("{n}")); // in any order
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    pub fn parallelism(mut self, subtasks: usize) -> Self {
        match &mut self.head {
            Head::Stage(stage) => stage.info.parallelism = Some(subtasks),
            Head::Ports(_) => self.parallelism = Some(subtasks),
        }
        self
    }

    fn last_mut(&mut self) -> Option<&mut OperatorInfo> {
        match (self.fused.last_mut(), &mut self.head) {
            (Some(operator), _) => Some(operator),
            (None, Head::Stage(stage)) => Some(&mut stage.info.head),
            (None, Head::Ports(_)) => None,
        }
    }

    /// Hides the operators: ends the stage here, so that the type can be named.
    ///
    /// ```
    /// # use flare_runtime::job::BoxedStream;
    /// fn large(numbers: BoxedStream<u64>) -> BoxedStream<u64> {
    ///     numbers.filter(|n| *n > 1000).boxed()
    /// }
    /// ```
    #[track_caller]
    pub fn boxed(self) -> BoxedStream<S::Out> {
        self.rewire("boxed", |_| {})
    }

    /// Spreads the records evenly over the next stage's subtasks.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// let lines = job.values("lines", vec!["1".to_owned(), "2".to_owned()]); // one subtask
    /// let parsed = lines.rebalance().map(|line| line.len()).parallelism(2);
    /// parsed.for_each(|length| println!("{length}"));
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn rebalance(self) -> BoxedStream<S::Out>
    where
        S::Out: Exchanged,
    {
        self.rewire("rebalance", |port| port.exchange = Exchange::Rebalance)
    }

    /// Sends every record to all of the next stage's subtasks.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// let rules = job.values("rules", vec![1, 2]).broadcast();
    /// rules.map(|rule| rule).parallelism(2).for_each(|rule| println!("{rule}")); // each of them twice
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn broadcast(self) -> BoxedStream<S::Out>
    where
        S::Out: Exchanged,
    {
        let place = Place::here();
        let Parts { job, mut ports, behind_dirty } = self.into_ports(Some(S::Out::clone));
        for port in &mut ports {
            port.exchange = Exchange::Broadcast;
        }
        let last = job.lock().numbered("broadcast", place);
        BoxedStream::from_ports(job, ports, last, behind_dirty)
    }

    #[track_caller]
    fn rewire(self, kind: &'static str, change: impl FnMut(&mut PortRef)) -> BoxedStream<S::Out> {
        let place = Place::here();
        let Parts { job, mut ports, behind_dirty } = self.into_ports(None);
        ports.iter_mut().for_each(change);
        let last = job.lock().numbered(kind, place);
        BoxedStream::from_ports(job, ports, last, behind_dirty)
    }

    /// Merges two streams; the order between them is not defined.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// let (old, new) = (job.values("old", vec![1]), job.values("new", vec![2]));
    /// old.union(new).for_each(|n| println!("{n}"));
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn union<O>(self, other: Stream<O>) -> BoxedStream<S::Out>
    where
        O: Step<Out = S::Out>,
    {
        let place = Place::here();
        let Parts { job, mut ports, behind_dirty } = self.into_ports(None);
        let others = other.into_ports(None);
        ports.extend(others.ports);
        let last = job.lock().numbered("union", place);
        BoxedStream::from_ports(job, ports, last, behind_dirty || others.behind_dirty)
    }

    /// Lets several readers read the stream; each gets every record.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// let numbers = job.values("numbers", vec![1, 2]).shared();
    /// numbers.stream().for_each(|n| println!("one {n}"));
    /// numbers.stream().map(|n| n * 2).for_each(|n| println!("two {n}"));
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn shared(self) -> Shared<S::Out>
    where
        S::Out: Clone,
    {
        let place = Place::here();
        let Parts { job, ports, behind_dirty } = self.into_ports(Some(S::Out::clone));
        let last = job.lock().numbered("shared", place);
        let end = job.lock().open_end(last.clone());
        Shared { job, ports, last, behind_dirty, end, marker: std::marker::PhantomData }
    }

    /// Parts the stream in two: what `function` calls [`Routed::Main`] goes on, what it calls [`Routed::Side`]
    /// becomes the side output `name`, of a type of its own.
    ///
    /// ```
    /// # use flare_runtime::operators::Routed;
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// let route = |n| if n < 0 { Routed::Side(format!("{n} is negative")) } else { Routed::Main(n) };
    /// let (numbers, complaints) = job.values("all", vec![1, -2]).side_output("negative", route);
    /// numbers.for_each(|n| println!("{n}"));
    /// complaints.for_each(|text| eprintln!("{text}"));
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn side_output<M, Side, F>(self, name: &str, function: F) -> (BoxedStream<M>, BoxedStream<Side>)
    where
        F: FnMut(S::Out) -> Routed<M, Side> + Clone + Send + 'static,
        M: Send + 'static,
        Side: Send + 'static,
    {
        let place = Place::here();
        let (job, behind_dirty, step) = (self.job.clone(), self.behind_dirty, self.step.clone());
        let last = job.lock().named(&format!("side_output.{name}"), Role::Transform, place);
        let build = move |wiring: &mut Wiring| -> Box<dyn Consumer<S::In>> {
            let main = Box::new(wiring.output::<M>(0, None));
            let side = Box::new(wiring.output::<Side>(1, None));
            Box::new(Split::new(step.clone(), function.clone(), main, side))
        };
        let stage = self.with_operator(last.clone()).close_with(Box::new(build));
        let port = |port| vec![PortRef { stage, port, exchange: Exchange::Auto }];
        let main = BoxedStream::from_ports(job.clone(), port(0), last.clone(), behind_dirty);
        (main, BoxedStream::from_ports(job, port(1), last, behind_dirty))
    }

    /// Ends the stream in a function that is called with every record.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// job.values("numbers", vec![1, 2]).for_each(|n| println!("{n}"));
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    #[track_caller]
    pub fn for_each<F>(self, function: F)
    where
        F: FnMut(S::Out) + Clone + Send + 'static,
    {
        let place = Place::here();
        let operator = self.job.lock().numbered("for_each", place);
        let step = self.step.clone();
        let build = move |_: &mut Wiring| -> Box<dyn Consumer<S::In>> {
            Box::new(ForEach::new(step.clone(), function.clone()))
        };
        self.with_operator(operator).close_with(Box::new(build));
    }

    fn with_operator(mut self, operator: OperatorInfo) -> Self {
        self.fused.push(operator);
        self
    }

    pub(crate) fn job(&self) -> &Handle {
        &self.job
    }

    /// Ends the stage in an output that other stages read.
    pub(crate) fn into_ports(self, duplicate: Option<fn(&S::Out) -> S::Out>) -> Parts {
        // Without operators of its own, the stream is just what it reads; but only an output that knows how to copy
        // can have several readers, and a parallelism needs a stage that has it.
        if let (Head::Ports(ports), true, None) = (&self.head, self.is_bare(), duplicate) {
            let (job, ports, behind_dirty) = (self.job.clone(), ports.clone(), self.behind_dirty);
            job.lock().close_end(self.end);
            return Parts { job, ports, behind_dirty };
        }
        self.into_output(duplicate)
    }

    /// As [`Stream::into_ports`], with each record put into one of another type by `wrap`, which must not panic.
    pub(crate) fn into_ports_of<U, W>(self, wrap: W, duplicate: Option<fn(&U) -> U>) -> Parts
    where
        W: FnMut(S::Out) -> U + Clone + Send + 'static,
        U: Send + 'static,
    {
        let Self { job, head, step, fused, parallelism, behind_dirty, end } = self;
        let step = Map::new(step, wrap);
        Stream { job, head, step, fused, parallelism, behind_dirty, end }.into_output(duplicate)
    }

    /// Whether the stream is just what others have ended in ports.
    pub(crate) fn is_bare(&self) -> bool {
        matches!(self.head, Head::Ports(_)) && self.fused.is_empty() && self.parallelism.is_none()
    }

    fn into_output(self, duplicate: Option<fn(&S::Out) -> S::Out>) -> Parts {
        let (job, behind_dirty) = (self.job.clone(), self.behind_dirty);
        let build = move |wiring: &mut Wiring| -> Box<dyn Consumer<S::Out>> {
            Box::new(wiring.output::<S::Out>(0, duplicate))
        };
        let stage = self.close(Box::new(build));
        Parts { job, ports: vec![PortRef { stage, port: 0, exchange: Exchange::Auto }], behind_dirty }
    }

    /// Ends the stage in `build`'s consumer, behind the fused operators.
    fn close(self, mut build: BuildConsumer<S::Out>) -> usize {
        let step = self.step.clone();
        let build = move |wiring: &mut Wiring| -> Box<dyn Consumer<S::In>> {
            let next = build(wiring);
            if TypeId::of::<S>() == TypeId::of::<Identity<S::In>>() {
                let same: Box<dyn Any> = Box::new(next);
                return *same.downcast().expect("the empty row leaves the type as it is");
            }
            Box::new(Pass::new(step.clone(), next))
        };
        self.close_with(Box::new(build))
    }

    /// Ends the stage in `build`'s consumer, which runs the fused operators itself.
    fn close_with(self, mut build: BuildConsumer<S::In>) -> usize {
        let Self { job, head, fused, parallelism, behind_dirty, end, .. } = self;
        let mut builder = job.lock();
        builder.close_end(end);
        let mut stage = match head {
            Head::Stage(stage) => stage,
            Head::Ports(reads) => {
                let head = fused.first().cloned().unwrap_or_else(|| builder.numbered("relay", Place::here()));
                let info = StageInfo { parallelism, behind_dirty, ..StageInfo::new(head) };
                let build = |wiring: &mut Wiring, downstream| -> Box<dyn Subtask> {
                    Box::new(Relay::new(wiring.input::<S::In>(), downstream))
                };
                OpenStage { info, build: Box::new(build), reads, add: Box::new(Graph::add_stage::<S::In>) }
            }
        };
        builder.configure(&mut stage.info);
        let row: Arc<[OperatorId]> = fused.iter().map(|operator| operator.id.clone()).collect();
        let shown = fused.into_iter().filter(|operator| operator.id != stage.info.head.id);
        stage.info.fused.extend(shown);
        let mut head = stage.build;
        let whole = move |wiring: &mut Wiring| {
            let consumer = build(wiring);
            let downstream = Downstream::new(consumer, wiring.context(Arc::clone(&row)), wiring.latency);
            head(wiring, downstream)
        };
        let node = StageNode { info: stage.info, build: Box::new(whole) };
        (stage.add)(&mut builder.graph, node, &stage.reads)
    }
}

/// A stream that was ended in ports.
pub(crate) struct Parts {
    pub(crate) job: Handle,
    pub(crate) ports: Vec<PortRef>,
    pub(crate) behind_dirty: bool,
}

/// A stream that several readers read.
#[must_use = "a stream must end in a sink"]
pub struct Shared<T> {
    job: Handle,
    ports: Vec<PortRef>,
    last: OperatorInfo,
    behind_dirty: bool,
    end: usize,
    marker: std::marker::PhantomData<fn() -> T>,
}

impl<T: Send + 'static> Shared<T> {
    /// The stream for one more reader.
    ///
    /// ```
    /// # flare_runtime::job::Runner::described("example", |job| {
    /// let numbers = job.values("numbers", vec![1, 2]).shared();
    /// let doubled = numbers.stream().map(|n| n * 2);
    /// numbers.stream().union(doubled).for_each(|n| println!("{n}")); // 1, 2, 2, 4 in any order
    /// # Ok(()) }).run_blocking().unwrap();
    /// ```
    pub fn stream(&self) -> BoxedStream<T> {
        self.job.lock().close_end(self.end);
        BoxedStream::from_ports(self.job.clone(), self.ports.clone(), self.last.clone(), self.behind_dirty)
    }
}
