//! Connectors as the registry knows them: what a name in configuration stands for.

use std::collections::BTreeMap;

use super::{CreateSource, ReadBack, Resources, RowLookup, SinkFactory};
use crate::config::{Config, Layer, Problems, Section, Setting, Settings};
use crate::model::RowSchema;

/// What a connector can do; engine and tests ask this, never its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// A source that can be read again from its positions.
    pub replayable: bool,
    /// A sink that writes a batch wholly or not at all, so that a bad record can be found by halving.
    pub atomic_batches: bool,
    /// Records that a sink likes to get at once.
    pub batch: usize,
    /// A sink of bytes that takes each record's key beside its payload.
    pub keys: bool,
    /// A sink that writes to the process's standard output.
    pub standard_output: bool,
}

impl Capability {
    /// Nothing special.
    pub const NONE: Self =
        Self { replayable: false, atomic_batches: false, batch: 1, keys: false, standard_output: false };
}

/// What is known of the struct that a source, sink or lookup is bound to.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The section of its settings: `source.orders`.
    pub section: String,
    /// What its attribute says, as the lowest layer.
    pub attribute: Option<Layer>,
    /// Its columns.
    pub schema: RowSchema,
}

/// What a connector opens a source, sink or lookup with.
pub struct Opening<'a> {
    /// The struct it is for.
    pub binding: &'a Binding,
    /// Name of the job.
    pub job: &'a str,
    /// The merged configuration.
    pub config: &'a mut Config,
    /// Pools and clients shared in the job.
    pub resources: &'a Resources,
    /// What is wrong.
    pub problems: &'a mut Problems,
    /// Settings of the operator itself, allowed beside the connector's.
    pub common: &'static [Setting],
}

impl Opening<'_> {
    /// Reads the connector's own settings from the binding's section, and reports unknown ones there.
    pub fn settings<S: Settings>(&mut self) -> Option<S> {
        let mut section = self.config.section(&self.binding.section, self.binding.attribute.clone());
        section.choose_connector(self.common);
        section.allow(self.common);
        let settings = S::read(&mut section, self.problems);
        section.finish(self.problems);
        settings
    }

    /// Reads another section that the connector needs, such as `datasource.users`.
    pub fn section<S: Settings>(&mut self, path: &str) -> Option<S> {
        let mut section: Section<'_> = self.config.section(path, None);
        let settings = S::read(&mut section, self.problems);
        section.finish(self.problems);
        settings
    }
}

/// Makes sources of one connector.
pub trait SourceConnector: Send + Sync {
    /// What its sources can do.
    fn capability(&self) -> Capability;

    /// The settings of its sources.
    fn settings(&self) -> &'static [Setting];

    /// Reads the settings and makes the source's maker; problems are added to `opening.problems`.
    fn open(&self, opening: &mut Opening<'_>) -> Option<Box<dyn CreateSource>>;
}

/// Makes sinks of one connector.
pub trait SinkConnector: Send + Sync {
    /// What its sinks can do.
    fn capability(&self) -> Capability;

    /// The settings of its sinks.
    fn settings(&self) -> &'static [Setting];

    /// Reads the settings and makes the maker of a sink of so many subtasks; problems are added to `opening.problems`.
    fn open(&self, opening: &mut Opening<'_>, subtasks: usize) -> Option<SinkFactory>;

    /// Reads everything that such a sink has written, from the same settings; a connector that does not implement it
    /// cannot.
    fn read_back(&self, opening: &mut Opening<'_>) -> Option<ReadBack> {
        let section = &opening.binding.section;
        let message = "what this connector writes cannot be read back";
        let remedy = "land the records in files, Kafka or a database instead";
        opening.problems.add("unsupported", format!("{section}.connector"), message, remedy);
        None
    }
}

/// Makes lookups of one connector.
pub trait LookupConnector: Send + Sync {
    /// The settings of its lookups.
    fn settings(&self) -> &'static [Setting];

    /// Reads the settings and makes the lookup; problems are added to `opening.problems`.
    fn open(&self, opening: &mut Opening<'_>) -> Option<Box<dyn RowLookup>>;
}

/// A connector: what it offers under its one name.
#[derive(Default)]
pub struct Connector {
    /// Makes sources.
    pub source: Option<Box<dyn SourceConnector>>,
    /// Makes sinks.
    pub sink: Option<Box<dyn SinkConnector>>,
    /// Makes lookups.
    pub lookup: Option<Box<dyn LookupConnector>>,
    /// Further sections that it reads, for the reference: `datasource.NAME`.
    pub sections: Vec<(&'static str, &'static [Setting])>,
}

/// All connectors of this build, and the features of those that were left out.
#[derive(Default)]
pub struct Registry {
    connectors: BTreeMap<&'static str, Connector>,
    left_out: BTreeMap<&'static str, &'static str>,
}

impl Registry {
    /// Adds a connector.
    pub fn add(&mut self, name: &'static str, connector: Connector) {
        self.connectors.insert(name, connector);
    }

    /// Notes a connector that this build lacks, and the feature that brings it.
    pub fn leave_out(&mut self, name: &'static str, feature: &'static str) {
        self.left_out.insert(name, feature);
    }

    /// The connector called `name`.
    pub fn get(&self, name: &str) -> Option<&Connector> {
        self.connectors.get(name)
    }

    /// The feature that brings the connector called `name`, if this build lacks it.
    pub fn missing_feature(&self, name: &str) -> Option<&'static str> {
        self.left_out.get(name).copied()
    }

    /// All connectors of this build by name.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Connector)> {
        self.connectors.iter().map(|(name, connector)| (*name, connector))
    }

    /// All names, in this build or not.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.connectors.keys().chain(self.left_out.keys()).copied()
    }
}
