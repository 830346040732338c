//! The embedded host: every subtask is a task of this process.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use rand::{RngExt, SeedableRng};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::checkpoints::Checkpoints;
use super::coordinator::{Coordinator, Outcome};
use crate::api::{
    Clock, Command, DirtyBudget, DirtyOutlet, HostLink, Metrics, Output, Replay, Report, Subtask,
};
use crate::checkpoint::Restore;
use crate::error::{ErrorKind, Result};
use crate::model::{KeyGroups, OperatorId, Splits, SubtaskId, note_panic_places, panic_error};
use crate::plan::{Graph, Ports, Role, Shape, Wiring};

/// How a graph is run.
#[derive(Clone, Debug)]
pub struct RunSettings {
    /// Name of the job.
    pub job: Arc<str>,
    /// Subtasks of a stage that says nothing else.
    pub parallelism: usize,
    /// Time between checkpoints; zero for none but the last.
    pub checkpoint: Duration,
    /// How long a record may wait for a fuller batch.
    pub flush: Duration,
    /// Records in a full batch.
    pub batch: usize,
    /// Batches that a channel holds.
    pub buffer: usize,
    /// The number of key groups.
    pub max_parallelism: usize,
    /// How long a stop may take before the job is cut off.
    pub drain_timeout: Duration,
}

/// What a run shares with the outside: figures, split names, the dirty budget.
#[derive(Clone)]
pub struct JobRun {
    /// The job's figures.
    pub metrics: Metrics,
    /// The names of splits.
    pub splits: Splits,
    /// How much dirt the job bears.
    pub budget: Arc<DirtyBudget>,
    /// Processing time.
    pub clock: Clock,
    /// Makes subtasks lose their turn now and then, by this seed, so that they interleave in another order.
    pub shake: Option<u64>,
    /// In a replay, what the sources read; those that are not named read nothing.
    pub replay: Option<Replays>,
    /// What the job begins with.
    pub restore: Option<Restore>,
    /// Sees each answer to a barrier before it counts; an error ends the run there.
    pub observe: Option<Observe>,
    /// Where completed checkpoints go; without it, nobody keeps them.
    pub checkpoints: Option<Checkpoints>,
}

impl JobRun {
    /// The number of the last barrier before this run.
    pub(super) fn last_barrier(&self) -> u64 {
        self.restore.as_ref().map_or(0, |restore| restore.savepoint.barrier)
    }
}

/// Sees the number of a barrier that a subtask has answered.
pub type Observe = Arc<dyn Fn(u64) -> Result<()> + Send + Sync>;

/// What is read again of each source.
pub type Replays = BTreeMap<OperatorId, Arc<Replay>>;

/// Runs graphs in this process.
pub struct Host {
    settings: RunSettings,
    run: JobRun,
}

type Channel = (SubtaskId, Box<dyn Subtask>);

impl Host {
    /// A host for one run.
    pub fn new(settings: RunSettings, run: JobRun) -> Self {
        Self { settings, run }
    }

    /// Runs the graph until its input has ended, `stop` becomes true, or something fails.
    ///
    /// # Errors
    /// The first error of any subtask.
    pub async fn run(self, mut graph: Graph, stop: watch::Receiver<bool>) -> Result<Outcome> {
        note_panic_places();
        if let Some(restore) = &self.run.restore {
            let operators = graph.stages.iter().map(|stage| stage.info.head.id.0.as_ref()).collect();
            restore.check(&operators, KeyGroups { count: self.settings.max_parallelism })?;
        }
        let (report_sender, reports) = mpsc::channel(1024);
        let mut tasks = JoinSet::new();
        let mut sources = Vec::new();
        let mut all = Vec::new();
        for (role, (subtask, code)) in self.build(&mut graph) {
            let (command_sender, commands) = mpsc::channel(64);
            if role == Role::Source {
                sources.push(command_sender);
            }
            all.push(subtask.clone());
            let link = HostLink { subtask: subtask.clone(), commands, reports: report_sender.clone() };
            let task = supervise(subtask, code, link);
            match self.run.shake {
                None => tasks.spawn(task),
                Some(seed) => tasks.spawn(shaken(task, seed.wrapping_add(all.len() as u64))),
            };
        }
        drop(report_sender);
        let Self { settings, run } = self;
        Coordinator { settings, run, tasks, sources, all, reports, stop, stopping: None }.run().await
    }

    /// Makes all subtasks with their channels.
    fn build(&self, graph: &mut Graph) -> Vec<(Role, Channel)> {
        let parallelism: Vec<usize> =
            graph.stages.iter().map(|node| self.parallelism(node.info.parallelism)).collect();
        let mut ports: BTreeMap<(usize, usize), Ports> = BTreeMap::new();
        for (edge, channels) in &graph.edges {
            let shape = Shape {
                upstream: parallelism[edge.from.stage],
                downstream: parallelism[edge.to],
                exchange: edge.from.exchange,
            };
            let connected = channels.connect(shape, self.settings.buffer.max(1));
            for (index, end) in connected.edges.into_iter().enumerate() {
                let outputs = &mut ports.entry((edge.from.stage, index)).or_default().outputs;
                outputs.entry(edge.from.port).or_default().push(end);
            }
            for (index, ends) in connected.receivers.into_iter().enumerate() {
                ports.entry((edge.to, index)).or_default().receivers.extend(ends);
            }
        }
        let mut subtasks = Vec::new();
        for (stage, node) in graph.stages.iter_mut().enumerate() {
            for index in 0..parallelism[stage] {
                let subtask = SubtaskId { operator: node.info.head.id.clone(), index };
                let ports = ports.remove(&(stage, index)).unwrap_or_default();
                let mut wiring =
                    self.wiring(subtask.clone(), parallelism[stage], ports, node.info.behind_dirty);
                subtasks.push((node.info.head.role, (subtask, (node.build)(&mut wiring))));
            }
        }
        subtasks
    }

    fn parallelism(&self, own: Option<usize>) -> usize {
        own.unwrap_or(self.settings.parallelism).max(1)
    }

    fn wiring(&self, subtask: SubtaskId, parallelism: usize, mut ports: Ports, behind_dirty: bool) -> Wiring {
        let edges = ports.outputs.remove(&Graph::DIRTY_PORT).unwrap_or_default().into_iter();
        let edges = edges.map(|edge| *edge.downcast().expect("dirty edges carry dirty records"));
        let output = (!behind_dirty).then(|| Output::new(edges.collect(), self.settings.batch, None));
        let dirty = DirtyOutlet {
            job: Arc::clone(&self.settings.job),
            splits: self.run.splits.clone(),
            budget: Arc::clone(&self.run.budget),
            output,
            metrics: self.run.metrics.clone(),
        };
        let RunSettings { flush: latency, batch, .. } = self.settings;
        let replays = self.run.replay.as_ref();
        let replay = replays.map(|all| all.get(&subtask.operator).cloned().unwrap_or_default());
        let restore = self.run.restore.as_ref();
        Wiring {
            restored: restore.and_then(|restore| restore.part(&subtask, parallelism)),
            snapshots: self.run.checkpoints.is_some(),
            last_barrier: self.run.last_barrier(),
            subtask,
            parallelism,
            latency,
            batch,
            clock: self.run.clock.clone(),
            replay,
            ports,
            dirty: Some(dirty),
        }
    }
}

/// The task, which loses every third turn or so.
async fn shaken<F: Future>(task: F, seed: u64) -> F::Output {
    let mut random = rand::rngs::SmallRng::seed_from_u64(seed);
    tokio::pin!(task);
    std::future::poll_fn(|cx| {
        if random.random_ratio(1, 3) {
            cx.waker().wake_by_ref();
            return std::task::Poll::Pending;
        }
        task.as_mut().poll(cx)
    })
    .await
}

/// Runs a subtask; a panic outside user code is an error, too.
async fn supervise(subtask: SubtaskId, code: Box<dyn Subtask>, link: HostLink) -> Result<()> {
    match AssertUnwindSafe(code.run(link)).catch_unwind().await {
        Ok(result) => result,
        Err(panic) => {
            Err(panic_error(ErrorKind::Failed, "a subtask panicked", &*panic).with("operator", subtask))
        }
    }
}

/// Commands go to sources only; everyone else hears barriers from the stream.
pub(super) type Sources = Vec<mpsc::Sender<Command>>;

/// What the coordinator listens to.
pub(super) type Reports = mpsc::Receiver<Report>;
