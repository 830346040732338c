//! Layers become values: the highest layer that says something wins.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use toml::{Table, Value};

use super::layer::{environment, variable};
use super::problem::MISSING;
use super::value::is_within;
use super::{Layer, Origin, Problems, Range, Setting, SettingValue, similar, suggestion};

/// Variables that steer Flare itself and are no settings of a job.
const RESERVED_VARIABLES: &[&str] = &["FLARE_PROFILE", "FLARE_CONFIG", "FLARE_LOG"];
const RESERVED_PREFIX: &str = "FLARE_TEST_";

/// The first words of all settings' keys. A variable that begins with none of them comes from elsewhere: Kubernetes
/// sets `FLARE_SERVICE_HOST` for a service called `flare`.
const SECTIONS: &[&str] =
    &["job", "operator", "source", "sink", "lookup", "state", "dirty", "datasource", "cluster"];

/// A setting in force, and where it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Effective {
    /// Its full key: `source.orders.topic`.
    pub key: String,
    /// Its value as shown; secrets are masked.
    pub value: String,
    /// The layer that it came from.
    pub origin: String,
    /// Whether it may change while the job runs.
    pub live: bool,
}

/// The merged configuration of one start of a job.
#[derive(Default)]
pub struct Config {
    files: Vec<Layer>,
    environment: BTreeMap<String, String>,
    command_line: Option<Layer>,
    base: PathBuf,
    sections: BTreeSet<String>,
    /// Keys of all settings that were asked for, by their variables.
    keys: BTreeMap<String, String>,
    variables: BTreeSet<String>,
    /// Sections whose variables were written for a connector that another layer has replaced, or that is not there.
    replaced: BTreeSet<String>,
    effective: Vec<Effective>,
}

/// Without the environment's values, for they may be secret.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, command_line, effective, .. } = self;
        let mut config = f.debug_struct("Config");
        config.field("files", files).field("command_line", command_line).field("effective", effective);
        config.finish_non_exhaustive()
    }
}

impl Config {
    /// Merges, low to high, `files`, the `FLARE_…` variables of `environment`, and `command_line`.
    ///
    /// `base` is the folder that relative paths in settings start from.
    pub fn new(
        base: PathBuf,
        files: Vec<Layer>,
        variables: impl Iterator<Item = (String, String)>,
        command_line: Option<Layer>,
    ) -> Self {
        Self { files, environment: environment(variables), command_line, base, ..Self::default() }
    }

    /// The folder that relative paths in settings start from.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The settings in force that were read so far.
    pub fn effective(&self) -> &[Effective] {
        &self.effective
    }

    /// A setting that several read is listed once.
    fn record(&mut self, effective: Effective) {
        if !self.effective.contains(&effective) {
            self.effective.push(effective);
        }
    }

    /// Opens the section at `path` (`source.orders`), with what its attribute says as the lowest layer.
    pub fn section(&mut self, path: &str, attribute: Option<Layer>) -> Section<'_> {
        self.sections.insert(path.to_owned());
        let mut layers: Vec<Layer> = attribute.into_iter().collect();
        let files = self.files.iter().filter_map(|layer| part(layer, path));
        layers.extend(files);
        let below_environment = layers.len();
        layers.extend(self.command_line.iter().filter_map(|layer| part(layer, path)));
        Section {
            path: path.to_owned(),
            layers: layers.into_iter().map(Some).collect(),
            below_environment,
            use_environment: true,
            common: &[],
            known: Vec::new(),
            config: self,
        }
    }

    /// Says that what was configured for the section at `path` cannot be judged, since its connector is not there.
    pub fn pass_over(&mut self, path: &str) {
        self.replaced.insert(path.to_owned());
    }

    /// Reports sections and variables that nothing has read. `declared` sections belong to other jobs of the binary.
    ///
    /// Returns the names of variables that are none of Flare's.
    pub fn finish(&self, declared: &BTreeSet<String>, problems: &mut Problems) -> Vec<&str> {
        let known: BTreeSet<&str> = self.sections.iter().chain(declared).map(String::as_str).collect();
        // Datasources and clusters are named by others; one that this job does not name is another job's or profile's.
        let elsewhere = |path: &str| matches!(path.split('.').next(), Some("datasource" | "cluster"));
        for layer in self.files.iter().chain(&self.command_line) {
            for path in unknown(&layer.values, "", &known).iter().filter(|path| !elsewhere(path)) {
                let message = format!("nothing in this job reads `{path}`");
                let remedy = suggestion(path, known.iter().copied());
                problems.add("unknown-section", &layer.origin, message, remedy);
            }
        }
        self.unread_variables(declared, problems)
    }

    fn unread_variables(&self, declared: &BTreeSet<String>, problems: &mut Problems) -> Vec<&str> {
        let others = declared.difference(&self.sections).chain(&self.replaced);
        let others: Vec<String> = others.map(|section| variable(section, "")).collect();
        let mut foreign = Vec::new();
        for name in self.environment.keys().filter(|name| !self.variables.contains(*name)) {
            let reserved = RESERVED_VARIABLES.contains(&name.as_str()) || name.starts_with(RESERVED_PREFIX);
            if reserved || others.iter().any(|other| name.starts_with(other)) || self.is_elsewhere(name) {
                continue;
            }
            if !is_ours(name) {
                foreign.push(name.as_str());
                continue;
            }
            let known = || self.keys.keys().map(String::as_str);
            if let Some(meant) = similar(name, known()) {
                problems.not_missing(&self.keys[meant]);
            }
            let remedy = suggestion(name, known());
            let message = "no setting of this job has this name";
            problems.add("unknown-setting", format!("environment {name}"), message, remedy);
        }
        foreign
    }

    /// Whether the variable is for a datasource or cluster that this job does not name; see [`Config::finish`].
    fn is_elsewhere(&self, name: &str) -> bool {
        let named = |prefix: &str| {
            let sections = self.sections.iter().filter(|section| section.starts_with(prefix));
            name.starts_with(&variable(prefix, ""))
                && !sections.map(|section| variable(section, "")).any(|section| name.starts_with(&section))
        };
        named("datasource") || named("cluster")
    }
}

/// Whether the variable's first word is that of a setting, or probably meant to be.
fn is_ours(name: &str) -> bool {
    let first = name.split('_').nth(1).unwrap_or_default().to_ascii_lowercase();
    similar(&first, SECTIONS.iter().copied()).is_some()
}

/// The paths in `values` that lead to no known section.
fn unknown(values: &Table, prefix: &str, known: &BTreeSet<&str>) -> Vec<String> {
    let mut paths = Vec::new();
    for (name, value) in values {
        let path = format!("{prefix}{name}");
        let below = format!("{path}.");
        match value.as_table() {
            Some(_) if known.contains(path.as_str()) => {}
            Some(table) if known.iter().any(|section| section.starts_with(&below)) => {
                paths.extend(unknown(table, &below, known));
            }
            _ => paths.push(path),
        }
    }
    paths
}

fn part(layer: &Layer, path: &str) -> Option<Layer> {
    let mut values = &layer.values;
    for name in path.split('.') {
        values = values.get(name)?.as_table()?;
    }
    Some(Layer { origin: layer.origin.clone(), values: values.clone() })
}

/// One section of the configuration while it is read.
#[derive(Debug)]
pub struct Section<'a> {
    path: String,
    /// Low to high.
    layers: Vec<Option<Layer>>,
    below_environment: usize,
    /// Whether the environment was written for the connector in force; else only `common` settings are taken from it.
    use_environment: bool,
    common: &'static [Setting],
    known: Vec<&'static str>,
    config: &'a mut Config,
}

impl Section<'_> {
    /// The section's path: `source.orders`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The folder that relative paths start from.
    pub fn base(&self) -> &Path {
        &self.config.base
    }

    /// Which connector the section names in the end, and where; then forgets what every layer says of another one.
    ///
    /// A layer that names a `connector` begins the section anew: of what lower layers say of another connector only
    /// the `common` settings count, which mean the same for all. So configuration alone can replace a connector.
    pub fn choose_connector(&mut self, common: &'static [Setting]) -> Option<(String, Origin)> {
        let setting = "connector";
        self.known.push(setting);
        let variable_name = variable(&self.path, setting);
        let from_environment = self.config.environment.get(&variable_name).cloned();
        if from_environment.is_some() {
            self.config.variables.insert(variable_name.clone());
        }
        let mut current: Option<(String, Origin)> = None;
        let mut in_force = Vec::new();
        let mut environment_in_force = None;
        for index in 0..=self.layers.len() {
            if index == self.below_environment {
                if let Some(name) = &from_environment {
                    current = Some((name.clone(), Origin::Environment(variable_name.clone())));
                }
                environment_in_force = current.clone();
            }
            let Some(Some(layer)) = self.layers.get(index) else { continue };
            if let Some(Value::String(name)) = layer.values.get(setting) {
                current = Some((name.clone(), layer.origin.clone()));
            }
            in_force.push(current.as_ref().map(|(name, _)| name.clone()));
        }
        let chosen = current.as_ref().map(|(name, _)| name.clone());
        for (layer, name) in self.layers.iter_mut().zip(in_force) {
            if name != chosen
                && let Some(layer) = layer
            {
                layer.values.retain(|key, _| common.iter().any(|setting| setting.name == key));
            }
        }
        self.use_environment = environment_in_force.map(|(name, _)| name) == chosen;
        self.common = common;
        if !self.use_environment {
            self.config.replaced.insert(self.path.clone());
        }
        if let Some((name, origin)) = &current {
            let (key, origin) = (format!("{}.{setting}", self.path), origin.to_string());
            self.config.record(Effective { key, value: name.clone(), origin, live: false });
        }
        current
    }

    /// Reads one declared setting: the highest layer's value, else the declaration's default.
    pub(crate) fn read<T: SettingValue>(
        &mut self,
        setting: &'static Setting,
        problems: &mut Problems,
    ) -> Option<T> {
        self.known.push(setting.name);
        let key = format!("{}.{}", self.path, setting.name);
        self.config.keys.insert(variable(&self.path, setting.name), key.clone());
        let (value, origin) = match self.find(setting.name) {
            Some((value, origin)) => (value, origin),
            None => match (setting.default, T::absent()) {
                (Some(default), _) => (Value::String(default.to_owned()), Origin::Default),
                (None, Some(absent)) => return Some(absent),
                (None, None) => {
                    let remedy = format!("set `{key}`: {}", first_line(setting.doc));
                    problems.add(MISSING, &key, "the setting is required", remedy);
                    return None;
                }
            },
        };
        let parsed = T::parse(&value).and_then(|value| match is_within(&value, setting.range) {
            true => Ok(value),
            false => Err(format!("`{}` is no {}", value.show(), setting.kind())),
        });
        match parsed {
            Ok(parsed) => {
                let (value, origin) = (parsed.show(), origin.to_string());
                self.config.record(Effective { key, value, origin, live: setting.live });
                Some(parsed)
            }
            Err(message) => {
                let remedy = match setting.range {
                    Range::Any => first_line(setting.doc).to_owned(),
                    _ => format!("write a {}: {}", setting.kind(), first_line(setting.doc)),
                };
                problems.add("bad-value", format!("{key} ({origin})"), message, remedy);
                None
            }
        }
    }

    /// The settings grouped under `name`: `cache.ttl` in configuration, `cache(ttl = …)` in an attribute.
    pub fn group(&mut self, name: &'static str) -> Section<'_> {
        self.known.push(name);
        let inner = |layer: &Option<Layer>| part(layer.as_ref()?, name);
        Section {
            path: format!("{}.{name}", self.path),
            layers: self.layers.iter().map(inner).collect(),
            below_environment: self.below_environment,
            // A group of common settings is common as a whole.
            use_environment: self.use_environment || self.common.iter().any(|setting| setting.name == name),
            common: &[],
            known: Vec::new(),
            config: self.config,
        }
    }

    /// Allows settings that somebody else reads from this section.
    pub fn allow(&mut self, settings: &'static [Setting]) {
        self.known.extend(settings.iter().map(|setting| setting.name));
    }

    /// Reports what the counting layers say and nothing has read.
    pub fn finish(self, problems: &mut Problems) {
        for layer in self.layers.iter().flatten() {
            for name in layer.values.keys() {
                if self.known.contains(&name.as_str()) {
                    continue;
                }
                let place = format!("{}.{name} ({})", self.path, layer.origin);
                if let Some(meant) = similar(name, self.known.iter().copied()) {
                    problems.not_missing(&format!("{}.{meant}", self.path));
                }
                let remedy = suggestion(name, self.known.iter().copied());
                problems.add("unknown-setting", place, "there is no such setting", remedy);
            }
        }
    }

    fn find(&mut self, name: &str) -> Option<(Value, Origin)> {
        let in_layer = |layer: &Option<Layer>| {
            let layer = layer.as_ref()?;
            Some((layer.values.get(name)?.clone(), layer.origin.clone()))
        };
        let (low, high) = self.layers.split_at(self.below_environment);
        if let Some(found) = high.iter().rev().find_map(in_layer) {
            return Some(found);
        }
        let variable = variable(&self.path, name);
        if let Some(value) = self.config.environment.get(&variable) {
            self.config.variables.insert(variable.clone());
            if self.use_environment || self.common.iter().any(|setting| setting.name == name) {
                return Some((Value::String(value.clone()), Origin::Environment(variable)));
            }
        }
        low.iter().rev().find_map(in_layer)
    }
}

fn first_line(doc: &str) -> &str {
    doc.trim().lines().next().unwrap_or_default()
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "`settings!` declares public settings")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Literal, Place, Settings, settings};

    settings! {
        /// Settings for these tests.
        pub struct Kafka {
            /// The topic.
            topic: String,
            /// How long to wait.
            [live] wait: Duration [from "1s" to "1m"] = "5s",
            /// Anything for the client.
            properties: BTreeMap<String, String>,
            /// Maybe.
            group: Option<String>,
        }
    }

    fn config(files: &[&str], variables: &[(&str, &str)], arguments: &[&str]) -> Config {
        let file = |(index, text): (usize, &&str)| {
            let path = PathBuf::from(format!("{index}.toml"));
            Layer::text(&path, text).expect("toml")
        };
        let files = files.iter().enumerate().map(file).collect();
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let command_line = Layer::command_line(&arguments).expect("KEY=VALUE");
        Config::new(PathBuf::new(), files, variables, Some(command_line))
    }

    fn attribute() -> Option<Layer> {
        let place = Place { file: "src/main.rs", line: 3 };
        let arguments = [("connector", Literal::Text("kafka")), ("topic", Literal::Text("orders"))];
        Some(Layer::attribute(place, &arguments))
    }

    fn read(config: &mut Config, problems: &mut Problems) -> Option<Kafka> {
        let mut section = config.section("source.orders", attribute());
        section.choose_connector(&[]);
        let kafka = Kafka::read(&mut section, problems);
        section.finish(problems);
        config.finish(&BTreeSet::new(), problems);
        kafka
    }

    #[test]
    fn takes_the_highest_layer_that_says_something() {
        let files = ["[source.orders]\ntopic = \"a\"\nwait = \"1s\"", "[source.orders]\nwait = \"2s\""];
        let variables = [("FLARE_SOURCE_ORDERS_WAIT", "3s")];
        let arguments = ["source.orders.properties.sasl.jaas.config=a=b", "source.orders.topic=c"];
        let mut config = config(&files, &variables, &arguments);
        let mut problems = Problems::default();
        let kafka = read(&mut config, &mut problems).expect("complete");
        assert_eq!(problems, Problems::default());
        assert_eq!((kafka.topic.as_str(), kafka.wait), ("c", Duration::from_secs(3)));
        assert_eq!(kafka.properties["sasl.jaas.config"], "a=b");
        assert_eq!(kafka.group, None);
        assert_eq!(config.effective()[2].origin, "environment FLARE_SOURCE_ORDERS_WAIT");
    }

    #[test]
    fn refuses_values_outside_the_declared_range() {
        for (wait, ok) in [("1s", true), ("1m", true), ("999ms", false), ("61s", false)] {
            let mut problems = Problems::default();
            let argument = format!("source.orders.wait={wait}");
            assert_eq!(read(&mut config(&[], &[], &[&argument]), &mut problems).is_some(), ok, "{wait}");
            let told: Vec<_> = problems.iter().map(|problem| problem.remedy.as_str()).collect();
            let remedy = ["write a duration from 1s to 1m: How long to wait."];
            assert_eq!(told, if ok { &[][..] } else { &remedy[..] });
            assert_eq!((Kafka::ALL[1].accepts)(wait), ok);
        }
    }

    #[test]
    fn begins_anew_when_a_layer_names_another_connector() {
        let files = [
            "[source.orders]\nconnector = \"files\"\npath = \"x\"",
            "[source.orders]\nconnector = \"kafka\"\ngroup = \"g\"",
        ];
        let mut problems = Problems::default();
        let kafka = read(&mut config(&files, &[], &[]), &mut problems).expect("complete");
        assert_eq!(problems, Problems::default());
        assert_eq!((kafka.topic.as_str(), kafka.group.as_deref()), ("orders", Some("g")));
    }

    #[test]
    fn passes_over_variables_of_others() {
        let variables = [
            ("FLARE_SOURCE_ORDERS_TOPICS", "x"),
            ("FLARE_SINK_OTHERS_TABLE", "y"),
            ("FLARE_DATASOURCE_DW_URL", "z"),
        ];
        let mut config = config(&[], &variables, &["source.orders.connector=files"]);
        let mut section = config.section("source.orders", attribute());
        section.choose_connector(&[]);
        let mut problems = Problems::default();
        section.finish(&mut problems);
        config.finish(&["sink.others".to_owned()].into(), &mut problems);
        assert_eq!(problems, Problems::default());
    }

    #[test]
    fn names_variables_that_are_none_of_flares() {
        let foreign = ["FLARE_PORT", "FLARE_PORT_8080_TCP_ADDR", "FLARE_SERVICE_HOST", "FLARE_SERVICE_PORT"];
        let misspelt = ["FLARE_JOBS_BATCH", "FLARE_SORCE_ORDERS_TOPIC"];
        let variables: Vec<_> = foreign.iter().chain(&misspelt).map(|name| (*name, "x")).collect();
        let mut problems = Problems::default();
        let config = config(&[], &variables, &[]);
        assert_eq!(config.finish(&BTreeSet::new(), &mut problems), foreign);
        let places: Vec<_> = problems.iter().map(|problem| problem.place.as_str()).collect();
        assert_eq!(places, misspelt.map(|name| format!("environment {name}")));
    }

    #[test]
    fn shows_no_value_in_debug_output() {
        let files = ["[source.orders]\npassword = \"hunter2\""];
        let config = config(&files, &[("FLARE_SOURCE_ORDERS_PASSWORD", "hunter2")], &["a.b=hunter2"]);
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn keeps_common_settings_of_a_replaced_connector() {
        let mut config = config(&["[source.orders]\nconnector = \"files\"\npath = \"x\""], &[], &[]);
        let arguments = [("connector", Literal::Text("kafka")), ("wait", Literal::Text("7s"))];
        let attribute = Layer::attribute(Place { file: "src/main.rs", line: 3 }, &arguments);
        let mut section = config.section("source.orders", Some(attribute));
        section.choose_connector(Kafka::ALL);
        let wait = section.read::<Duration>(&Kafka::ALL[1], &mut Problems::default());
        assert_eq!(wait, Some(Duration::from_secs(7)));
    }

    #[test]
    fn a_misspelt_setting_is_not_missing_too() {
        let reads = |arguments: &[&str], variables: &[(&str, &str)]| {
            let mut config = config(&[], variables, arguments);
            let mut problems = Problems::default();
            let mut section = config.section("source.orders", None);
            Kafka::read(&mut section, &mut problems);
            section.finish(&mut problems);
            config.finish(&BTreeSet::new(), &mut problems);
            problems.iter().map(|problem| problem.code).collect::<Vec<_>>()
        };
        assert_eq!(reads(&[], &[]), ["missing-setting"]);
        assert_eq!(reads(&["source.orders.tpoic=a"], &[]), ["unknown-setting"]);
        assert_eq!(reads(&[], &[("FLARE_SOURCE_ORDERS_TOPCI", "a")]), ["unknown-setting"]);
        assert_eq!(reads(&["source.orders.table=a"], &[]), ["missing-setting", "unknown-setting"]);
    }

    #[test]
    fn reports_everything_that_is_unknown_or_wrong() {
        let files = ["[source.orders]\ntopci = \"a\"\nwait = \"soon\"\n[source.order]\ntopic = \"b\""];
        let variables = [("FLARE_SOURCE_ORDERS_TOPICS", "x"), ("FLARE_TEST_KAFKA", "y")];
        let mut problems = Problems::default();
        assert!(read(&mut config(&files, &variables, &[]), &mut problems).is_none());
        let codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, ["bad-value", "unknown-setting", "unknown-section", "unknown-setting"]);
        let text = problems.into_result().expect_err("problems").to_string();
        assert!(text.contains("did you mean `topic`?"), "{text}");
        assert!(text.contains("did you mean `source.orders`?"), "{text}");
    }
}
