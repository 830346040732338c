//! What a job says of itself: the environment report at its start, the summary at its end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::figures::USER;
use super::load::Described;
use crate::api::Figure;
use crate::engine::{Ending, Outcome};
use crate::monitor::Totals;
use crate::plan::{self, Graph, OperatorInfo, Role};
use crate::state::BackendKind;

/// Versions, host, settings and graph, for the start of a job.
pub(crate) fn environment(described: &Described, version: &str) -> String {
    let builder = &described.builder;
    let mut text = String::new();
    let _ = writeln!(text, "Flare {} | job {} {version}", env!("CARGO_PKG_VERSION"), builder.name);
    let host = hostname();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let (os, arch, pid) = (std::env::consts::OS, std::env::consts::ARCH, std::process::id());
    let _ = writeln!(text, "host {host} | {os} {arch} | {cpus} cpus | pid {pid}");
    let files: Vec<_> = described.files.iter().map(|file| file.display().to_string()).collect();
    let profile = described.profile.as_deref().unwrap_or("-");
    let files = if files.is_empty() { "-".to_owned() } else { files.join(", ") };
    let _ = writeln!(text, "profile {profile} | configuration {files}");
    text.push_str("settings (defaults left out)\n");
    for setting in builder.config.effective().iter().filter(|setting| setting.origin != "default") {
        let _ = writeln!(text, "  {} = {}  ({})", setting.key, setting.value, setting.origin);
    }
    text.push_str("graph\n");
    text.push_str(&plan::text(&builder.graph, builder.settings.parallelism));
    if builder.graph.stages.iter().any(|node| node.info.keyed) {
        let place = match builder.state.backend {
            BackendKind::Memory => "in memory",
            BackendKind::Disk => "on local disk",
        };
        let _ = writeln!(text, "state is {place}: it begins empty at every start, also after a crash");
    }
    text
}

fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok());
    name.map_or_else(|| "unknown".to_owned(), |name| name.trim().to_owned())
}

/// One operator's figures by name.
pub type OperatorFigures = BTreeMap<String, Figure>;

/// How a run went.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Name of the job.
    pub job: String,
    /// `end of input` or `stopped`.
    pub ending: String,
    /// How long it ran.
    pub elapsed: Duration,
    /// Records that all sources read.
    pub records_in: u64,
    /// Records that all sinks wrote, dirty ones left out.
    pub records_out: u64,
    /// Records that were turned aside, by `operator stage kind`.
    pub dirty: BTreeMap<String, u64>,
    /// Records that were skipped because a strategy says so.
    pub skipped: u64,
    /// Checkpoints completed.
    pub checkpoints: u64,
    /// What each sink writes to.
    pub outputs: BTreeMap<String, String>,
    /// Every operator's figures, by its id.
    pub operators: BTreeMap<String, OperatorFigures>,
    /// Names of operators by their ids, where `.id("…")` or `.name("…")` makes them differ.
    pub names: BTreeMap<String, String>,
    #[serde(skip)]
    lookups: Vec<OperatorInfo>,
}

/// What a summary needs of the graph, which the run consumes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shape {
    sources: Vec<String>,
    sinks: Vec<(String, String)>,
    dirty: Option<String>,
    lookups: Vec<OperatorInfo>,
    names: BTreeMap<String, String>,
}

impl Shape {
    pub(crate) fn of(graph: &Graph) -> Self {
        let mut shape = Self::default();
        for (index, node) in graph.stages.iter().enumerate() {
            let renamed = std::iter::once(&node.info.head).chain(&node.info.fused);
            let renamed = renamed.filter(|operator| operator.name != *operator.id.0);
            shape.names.extend(renamed.map(|operator| (operator.id.to_string(), operator.name.clone())));
            let (id, detail) = (node.info.head.id.to_string(), node.info.detail.clone());
            match node.info.head.role {
                _ if graph.dirty_stage == Some(index) => shape.dirty = Some(detail),
                Role::Source => shape.sources.push(id),
                Role::Sink => shape.sinks.push((id, detail)),
                Role::Lookup => shape.lookups.push(node.info.head.clone()),
                Role::Transform => {}
            }
        }
        shape
    }

    /// Records read and written so far.
    pub(crate) fn totals(&self, figures: &BTreeMap<(String, String), Figure>) -> Totals {
        let read = self.sources.iter().map(|id| count(figures, id, "records_in")).sum();
        let written = self.sinks.iter().map(|(id, _)| count(figures, id, "records_out")).sum();
        let dirty = figures
            .iter()
            .filter(|((_, name), _)| name.starts_with("dirty."))
            .map(|(_, figure)| number(figure));
        Totals { read, written, dirty: dirty.sum() }
    }
}

fn count(figures: &BTreeMap<(String, String), Figure>, operator: &str, name: &str) -> u64 {
    figures.get(&(operator.to_owned(), name.to_owned())).map_or(0, number)
}

fn number(figure: &Figure) -> u64 {
    match figure {
        Figure::Count(count) => *count,
        Figure::Level(_) | Figure::Durations(_) => 0,
    }
}

fn shown(figure: &Figure) -> String {
    match figure {
        Figure::Count(count) => count.to_string(),
        Figure::Level(level) => level.to_string(),
        Figure::Durations(of) => {
            format!("{} times, p50 {:?}, p99 {:?}, max {:?}", of.count, of.p50, of.p99, of.max)
        }
    }
}

impl Summary {
    pub(crate) fn new(
        job: String,
        outcome: Outcome,
        elapsed: Duration,
        shape: &Shape,
        figures: &BTreeMap<(String, String), Figure>,
    ) -> Self {
        let totals = shape.totals(figures);
        let mut dirty = BTreeMap::new();
        let mut operators: BTreeMap<String, OperatorFigures> = BTreeMap::new();
        let mut skipped = 0;
        for ((operator, name), figure) in figures {
            operators.entry(operator.clone()).or_default().insert(name.clone(), *figure);
            if operator == USER {
                continue;
            }
            if let Some(cause) = name.strip_prefix("dirty.") {
                dirty.insert(format!("{operator} {}", cause.replace('.', " ")), number(figure));
            }
            if name == "skipped" {
                skipped += number(figure);
            }
        }
        let ending = match outcome.ending {
            Ending::EndOfInput => "end of input",
            Ending::Stopped => "stopped",
        };
        let mut outputs: BTreeMap<String, String> = shape.sinks.iter().cloned().collect();
        outputs.extend(shape.dirty.clone().map(|detail| ("dirty".to_owned(), detail)));
        Self {
            job,
            ending: ending.to_owned(),
            elapsed,
            records_in: totals.read,
            records_out: totals.written,
            dirty,
            skipped,
            checkpoints: outcome.checkpoints,
            outputs,
            operators,
            names: shape.names.clone(),
            lookups: shape.lookups.clone(),
        }
    }

    /// The summary for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let seconds = self.elapsed.as_secs_f64();
        let rate = self.records_in as f64 / seconds.max(1e-9);
        let _ = writeln!(text, "job {} ended: {} after {seconds:.2} s", self.job, self.ending);
        let _ = writeln!(
            text,
            "  in {} | out {} | dirty {} | skipped {} | {rate:.0} records/s | {} checkpoints",
            self.records_in,
            self.records_out,
            self.dirty.values().sum::<u64>(),
            self.skipped,
            self.checkpoints
        );
        for operator in &self.lookups {
            let Some(figures) = self.operators.get(&*operator.id.0) else { continue };
            let count = |name: &str| figures.get(name).map_or(0, number);
            let _ = write!(
                text,
                "  {}: looked up {}, hits {}, misses {}, rows missing {}, requests {}",
                operator.label(),
                count("records_in"),
                count("cache_hits"),
                count("cache_misses"),
                count("rows_missing"),
                count("requests")
            );
            if let Some(Figure::Durations(latency)) = figures.get("request_latency") {
                let _ = write!(text, ", p50 {:?}, p99 {:?}", latency.p50, latency.p99);
            }
            text.push('\n');
        }
        for (name, figure) in self.operators.get(USER).into_iter().flatten() {
            let _ = writeln!(text, "  {name}: {}", shown(figure));
        }
        for (operator, figures) in &self.operators {
            if let Some(late) = figures.get("late").map(number).filter(|late| *late > 0) {
                let _ = writeln!(text, "  {operator}: {late} records came too late");
            }
        }
        for (cause, count) in &self.dirty {
            let _ = writeln!(text, "  dirty: {cause}: {count}");
        }
        for (sink, output) in &self.outputs {
            let _ = writeln!(text, "  {sink} -> {output}");
        }
        text
    }
}
