//! A job's description in the making: the graph, the configuration, and what is wrong so far.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::declared::Declared;
use super::settings::{DirtySettings, JobSettings, OperatorSettings};
use super::stand_ins::StandIns;
use crate::api::{Metrics, Registry, Resources};
use crate::config::{Config, Place, Problems, Settings};
use crate::model::{KeyGroups, OperatorId, Splits};
use crate::operators::Alignment;
use crate::plan::{Graph, OpenEnd, OperatorInfo, Role, StageInfo};
use crate::state::StateSettings;

/// What a job and its streams share while it is described.
pub(crate) struct Builder {
    pub(crate) name: String,
    pub(crate) graph: Graph,
    pub(crate) config: Config,
    pub(crate) problems: Problems,
    pub(crate) registry: Arc<Registry>,
    pub(crate) resources: Resources,
    pub(crate) declared: Arc<Declared>,
    pub(crate) settings: JobSettings,
    pub(crate) dirty: DirtySettings,
    pub(crate) state: StateSettings,
    pub(crate) alignment: Alignment,
    pub(crate) metrics: Metrics,
    pub(crate) splits: Splits,
    pub(crate) checks: Vec<Check>,
    /// What a test puts in the place of sources, sinks and lookups.
    pub(crate) stand_ins: Option<Arc<StandIns>>,
    /// Whether the job routes its dirty records itself.
    pub(crate) dirty_taken: bool,
    /// Whether a sink writes to standard output.
    pub(crate) prints: bool,
    counts: BTreeMap<&'static str, usize>,
    next_end: usize,
}

/// Something that `doctor` and the start check against the outside, in the order of the description.
pub(crate) enum Check {
    Source(Arc<dyn crate::api::CreateSource>, String),
    Sink(crate::api::SinkFactory, String),
    Lookup(Arc<dyn crate::api::RowLookup>, String),
}

impl Check {
    /// What is checked: `source.orders`.
    pub(crate) fn place(&self) -> &str {
        match self {
            Self::Source(_, place) | Self::Sink(_, place) | Self::Lookup(_, place) => place,
        }
    }

    pub(crate) async fn run(&self) -> crate::error::Result<()> {
        match self {
            Self::Source(source, _) => source.check().await,
            Self::Sink(sink, _) => sink.check().await,
            Self::Lookup(lookup, _) => lookup.check().await,
        }
    }
}

/// A shared [`Builder`].
#[derive(Clone)]
pub(crate) struct Handle(Arc<Mutex<Builder>>);

impl Handle {
    pub(crate) fn new(builder: Builder) -> Self {
        Self(Arc::new(Mutex::new(builder)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Builder> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The builder itself, once the job and all streams are gone; `None` when a stream was kept.
    pub(crate) fn into_inner(self) -> Option<Builder> {
        let mutex = Arc::try_unwrap(self.0).ok()?;
        Some(mutex.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What a builder starts from.
pub(crate) struct Start {
    pub(crate) name: String,
    pub(crate) config: Config,
    pub(crate) problems: Problems,
    pub(crate) registry: Arc<Registry>,
    pub(crate) declared: Arc<Declared>,
    pub(crate) settings: JobSettings,
    pub(crate) dirty: DirtySettings,
    pub(crate) state: StateSettings,
    pub(crate) stand_ins: Option<Arc<StandIns>>,
}

impl Builder {
    pub(crate) fn new(start: Start) -> Self {
        let Start { name, config, problems, registry, declared, settings, dirty, state, stand_ins } = start;
        Self {
            name,
            graph: Graph::default(),
            config,
            problems,
            registry,
            resources: Resources::default(),
            declared,
            settings,
            dirty,
            state,
            alignment: Alignment::default(),
            metrics: Metrics::default(),
            splits: Splits::default(),
            checks: Vec::new(),
            stand_ins,
            dirty_taken: false,
            prints: false,
            counts: BTreeMap::new(),
            next_end: 0,
        }
    }

    /// How the keys of keyed streams spread.
    pub(crate) fn key_groups(&self) -> KeyGroups {
        KeyGroups { count: self.settings.max_parallelism }
    }

    /// An operator whose id is its name: `source.orders`.
    pub(crate) fn named(&self, name: &str, role: Role, place: Place) -> OperatorInfo {
        OperatorInfo { id: OperatorId::from(name), name: name.to_owned(), role, place }
    }

    /// An operator whose id is derived from its kind: `map-1`.
    pub(crate) fn numbered(&mut self, kind: &'static str, place: Place) -> OperatorInfo {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let name = format!("{kind}-{count}");
        self.named(&name, Role::Transform, place)
    }

    /// Notes a stream that has to end somewhere.
    pub(crate) fn open_end(&mut self, last: OperatorInfo) -> usize {
        self.next_end += 1;
        self.graph.open_ends.insert(self.next_end, OpenEnd { last });
        self.next_end
    }

    /// The stream's last operator is another one now.
    pub(crate) fn move_end(&mut self, end: usize, last: OperatorInfo) {
        if let Some(open) = self.graph.open_ends.get_mut(&end) {
            open.last = last;
        }
    }

    /// The stream has found its end.
    pub(crate) fn close_end(&mut self, end: usize) {
        self.graph.open_ends.remove(&end);
    }

    /// Applies the section `operator.ID` to a stage.
    pub(crate) fn configure(&mut self, info: &mut StageInfo) {
        let path = format!("operator.{}", info.head.id);
        let mut section = self.config.section(&path, None);
        let settings = OperatorSettings::read(&mut section, &mut self.problems);
        section.finish(&mut self.problems);
        if let Some(parallelism) = settings.and_then(|settings| settings.parallelism) {
            info.parallelism = Some(parallelism);
        } else if info.parallelism == Some(0) {
            let message = format!("`{}` cannot have 0 subtasks", info.head.id);
            self.problems.add("bad-value", info.head.place, message, "write `.parallelism(1)` or more");
        }
        let JobSettings { parallelism, max_parallelism: most, .. } = self.settings;
        let subtasks = info.parallelism.unwrap_or(parallelism);
        if info.keyed && subtasks > most {
            let message =
                format!("a keyed stage of {subtasks} subtasks, and `job.max_parallelism` is {most}");
            let remedy = "lower its parallelism, or raise `max_parallelism`, which a job's state is bound to";
            self.problems.add("bad-value", format!("{path}.parallelism"), message, remedy);
        }
    }
}
