//! Stages and the edges between them.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;

use crate::api::{
    Clock, DirtyOutlet, Edge, InputPort, Output, Partition, Replay, Restored, StageContext, Subtask,
};
use crate::config::Place;
use crate::model::{DirtyRecord, Message, OperatorId, SubtaskId};

/// What an operator is, for reports and checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Brings records in.
    Source,
    /// Finds dimension rows.
    Lookup,
    /// Anything else on the way.
    Transform,
    /// Takes records out.
    Sink,
}

/// One operator of a stage.
#[derive(Clone, Debug)]
pub struct OperatorInfo {
    /// Its stable id.
    pub id: OperatorId,
    /// Its name in reports.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Where it was written.
    pub place: Place,
}

impl OperatorInfo {
    /// Its name, with its id where that is another one.
    pub fn label(&self) -> String {
        if self.name == *self.id.0 { self.name.clone() } else { format!("{} ({})", self.name, self.id) }
    }
}

/// How records spread over the subtasks of the next stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exchange {
    /// Subtask to subtask where both stages have the same parallelism, else in turn.
    Auto,
    /// In turn.
    Rebalance,
    /// Every record to every subtask.
    Broadcast,
    /// Every record to the subtask that its key belongs to.
    Key,
}

/// An output of a stage, as a reader names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRef {
    /// The stage.
    pub stage: usize,
    /// Which of its outputs.
    pub port: usize,
    /// How the records spread.
    pub exchange: Exchange,
}

/// An edge of the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeInfo {
    /// From which output.
    pub from: PortRef,
    /// To which stage.
    pub to: usize,
}

/// What is known of a stage without its code.
#[derive(Clone, Debug)]
pub struct StageInfo {
    /// The operator that gives the stage its id.
    pub head: OperatorInfo,
    /// The operators fused behind it.
    pub fused: Vec<OperatorInfo>,
    /// Number of subtasks; `None` takes the job's.
    pub parallelism: Option<usize>,
    /// What the head reads, writes or is, for reports: `kafka topic orders`, `tumbling 1m`.
    pub detail: String,
    /// Whether it lies behind the dirty-data output, so that nothing there can be turned aside again.
    pub behind_dirty: bool,
    /// Whether it is read by key.
    pub keyed: bool,
    /// Whether it is a source whose records can be read again at their offsets.
    pub replayable: bool,
    /// Whether its records can have an event time, whatever it reads.
    pub gives_time: bool,
}

impl StageInfo {
    /// A stage of one operator.
    pub fn new(head: OperatorInfo) -> Self {
        let (fused, detail) = (Vec::new(), String::new());
        Self {
            head,
            fused,
            parallelism: None,
            detail,
            behind_dirty: false,
            keyed: false,
            replayable: false,
            gives_time: false,
        }
    }
}

/// Makes one subtask of a stage.
pub type Build = Box<dyn FnMut(&mut Wiring) -> Box<dyn Subtask> + Send>;

/// A stage with its code.
pub struct StageNode {
    /// What it is.
    pub info: StageInfo,
    /// Makes its subtasks.
    pub build: Build,
}

/// The ends of channels for one subtask, taken once each by the code that knows their types.
pub struct Wiring {
    /// Who it is for.
    pub subtask: SubtaskId,
    /// Number of subtasks of the stage.
    pub parallelism: usize,
    /// How long a record may wait for a fuller batch.
    pub latency: Duration,
    /// Records in a full batch.
    pub batch: usize,
    /// Processing time.
    pub clock: Clock,
    /// In a replay, what the subtask's source reads.
    pub replay: Option<Arc<Replay>>,
    /// What the subtask begins with.
    pub restored: Option<Restored>,
    /// Whether somebody keeps snapshots.
    pub snapshots: bool,
    /// The number of the last barrier before this run.
    pub last_barrier: u64,
    pub(crate) ports: Ports,
    pub(crate) dirty: Option<DirtyOutlet>,
}

/// A subtask's channels by type: erased receivers, and erased edges by output port.
#[derive(Default)]
pub struct Ports {
    pub(crate) receivers: Vec<Box<dyn Any + Send>>,
    pub(crate) outputs: BTreeMap<usize, Vec<Box<dyn Any + Send>>>,
}

impl Wiring {
    /// The subtask's input.
    ///
    /// # Panics
    /// When the edges carry another type, which the typed streams rule out.
    pub fn input<T: Send + 'static>(&mut self) -> InputPort<T> {
        let receivers = std::mem::take(&mut self.ports.receivers).into_iter();
        let typed =
            receivers.map(|receiver| *receiver.downcast::<mpsc::Receiver<Message<T>>>().expect("one type"));
        InputPort::new(typed.collect())
    }

    /// Output `port` of the subtask.
    ///
    /// # Panics
    /// As [`Wiring::input`].
    pub fn output<T: Send + 'static>(&mut self, port: usize, duplicate: Option<fn(&T) -> T>) -> Output<T> {
        let edges = self.ports.outputs.remove(&port).unwrap_or_default().into_iter();
        let typed = edges.map(|edge| *edge.downcast::<Edge<T>>().expect("one type"));
        Output::new(typed.collect(), self.batch, duplicate)
    }

    /// What the subtask's operators share; `fused` are those behind the stage's head, in order.
    ///
    /// # Panics
    /// When called twice.
    pub fn context(&mut self, fused: Arc<[OperatorId]>) -> StageContext {
        StageContext::new(self.subtask.clone(), fused, self.dirty.take().expect("one context a subtask"))
    }
}

/// Makes the channel of an edge, whose type only the stream knew.
pub(crate) trait Channels: Send {
    /// One channel for each pair: senders by upstream subtask, receivers by downstream subtask, erased.
    fn connect(&self, shape: Shape, capacity: usize) -> Connected;
}

/// An edge's shape once both parallelisms are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) upstream: usize,
    pub(crate) downstream: usize,
    pub(crate) exchange: Exchange,
}

/// Erased ends: one [`Edge`] for each upstream subtask, receivers for each downstream subtask.
pub(crate) struct Connected {
    pub(crate) edges: Vec<Box<dyn Any + Send>>,
    pub(crate) receivers: Vec<Vec<Box<dyn Any + Send>>>,
}

/// Makes the partition of one upstream subtask, for so many downstream subtasks.
pub type MakePartition<T> = Arc<dyn Fn(usize) -> Box<dyn Partition<T>> + Send + Sync>;

pub(crate) struct TypedChannels<T> {
    /// For edges by key.
    partition: Option<MakePartition<T>>,
}

impl<T: Send + 'static> Channels for TypedChannels<T> {
    fn connect(&self, shape: Shape, capacity: usize) -> Connected {
        let Shape { upstream, downstream, exchange } = shape;
        let mut edges: Vec<Box<dyn Any + Send>> = Vec::with_capacity(upstream);
        let mut receivers: Vec<Vec<Box<dyn Any + Send>>> = (0..downstream).map(|_| Vec::new()).collect();
        for index in 0..upstream {
            let mut open = |lane: usize| {
                let (sender, receiver) = mpsc::channel::<Message<T>>(capacity);
                receivers[lane].push(Box::new(receiver));
                sender
            };
            let edge = match exchange {
                Exchange::Auto if upstream == downstream => Edge::Forward(open(index)),
                Exchange::Auto | Exchange::Rebalance => {
                    Edge::Rebalance((0..downstream).map(&mut open).collect())
                }
                Exchange::Broadcast => Edge::Broadcast((0..downstream).map(&mut open).collect()),
                Exchange::Key if downstream == 1 => Edge::Forward(open(0)),
                Exchange::Key => {
                    let make = self.partition.as_ref().expect("an edge by key knows the key");
                    Edge::Partition((0..downstream).map(&mut open).collect(), Mutex::new(make(downstream)))
                }
            };
            edges.push(Box::new(edge));
        }
        Connected { edges, receivers }
    }
}

/// A stream that somebody has opened and nobody has ended yet.
#[derive(Clone, Debug)]
pub struct OpenEnd {
    /// Its last operator.
    pub last: OperatorInfo,
}

/// A job's description.
#[derive(Default)]
pub struct Graph {
    /// The stages in the order of their making; edges lead from lower to higher ones.
    pub stages: Vec<StageNode>,
    pub(crate) edges: Vec<(EdgeInfo, Box<dyn Channels>)>,
    /// Streams without an end, by the number of the end.
    pub open_ends: BTreeMap<usize, OpenEnd>,
    /// The stage that takes dirty records first, if there is one.
    pub dirty_stage: Option<usize>,
}

impl Graph {
    /// The port of every stage that dirty records leave by.
    pub const DIRTY_PORT: usize = usize::MAX;

    /// Adds a stage and its edges from the ports it reads; returns its number.
    pub fn add_stage<T: Send + 'static>(&mut self, node: StageNode, reads: &[PortRef]) -> usize {
        self.add::<T>(node, reads, None)
    }

    /// As [`Graph::add_stage`], for a stage that is read by key: `partition` says which subtask a record belongs to.
    pub fn add_keyed_stage<T: Send + 'static>(
        &mut self,
        node: StageNode,
        reads: &[PortRef],
        partition: MakePartition<T>,
    ) -> usize {
        self.add(node, reads, Some(partition))
    }

    fn add<T: Send + 'static>(
        &mut self,
        node: StageNode,
        reads: &[PortRef],
        partition: Option<MakePartition<T>>,
    ) -> usize {
        let to = self.stages.len();
        self.stages.push(node);
        for from in reads {
            let channels = Box::new(TypedChannels { partition: partition.clone() });
            self.edges.push((EdgeInfo { from: *from, to }, channels));
        }
        to
    }

    /// Leads the dirty records of all stages to the dirty stage, once the whole graph is known; not those of stages
    /// behind it.
    pub fn connect_dirty(&mut self) {
        let Some(to) = self.dirty_stage else { return };
        for (stage, node) in self.stages.iter().enumerate() {
            if stage != to && !node.info.behind_dirty {
                let from = PortRef { stage, port: Self::DIRTY_PORT, exchange: Exchange::Auto };
                let channels = Box::new(TypedChannels::<DirtyRecord> { partition: None });
                self.edges.push((EdgeInfo { from, to }, channels));
            }
        }
    }

    /// Whether records that leave by one of these ports can have an event time.
    pub fn has_time(&self, ports: &[PortRef]) -> bool {
        let mut timed: Vec<bool> = Vec::with_capacity(self.stages.len());
        for (stage, node) in self.stages.iter().enumerate() {
            // Dirty records have none, and they alone may come from a later stage.
            let from = self.edges().filter(|edge| edge.to == stage && edge.from.port != Self::DIRTY_PORT);
            let reads = from.map(|edge| edge.from.stage).any(|from| timed[from]);
            timed.push(node.info.gives_time || reads);
        }
        ports.iter().any(|port| timed[port.stage])
    }

    /// The edges without their channels.
    pub fn edges(&self) -> impl Iterator<Item = &EdgeInfo> {
        self.edges.iter().map(|(info, _)| info)
    }
}
