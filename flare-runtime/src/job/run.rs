//! Checks a described job, starts it and sees it through.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use super::builder::Builder;
use super::load::Described;
use super::report::{Shape, Summary};
use crate::api::{Clock, DirtyBudget, Figure};
use crate::checkpoint::Restore;
use crate::config::Problems;
use crate::engine::{Checkpoints, Host, JobRun, Observe, Replays, RunSettings};
use crate::error::Result;
use crate::monitor::Totals;
use crate::operators::Keeping;
use crate::plan::{self, Wiring};

/// Runs `work` on a runtime of its own, which does not wait for user code that never lets go.
///
/// # Errors
/// When there can be no runtime.
pub(crate) fn block_on<R>(work: impl Future<Output = R>) -> Result<R> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    Ok(done)
}

/// A job's graph for people.
pub(crate) struct Plan {
    /// A line a stage.
    pub(crate) text: String,
    /// A Mermaid flowchart.
    pub(crate) mermaid: String,
    /// JSON for programs.
    pub(crate) json: String,
}

/// The graph of a described job.
pub(crate) fn plan(described: &Described) -> Plan {
    let Builder { graph, settings, .. } = &described.builder;
    Plan {
        text: plan::text(graph, settings.parallelism),
        mermaid: plan::mermaid(graph, settings.parallelism),
        json: serde_json::to_string_pretty(&plan::outline(graph, settings.parallelism))
            .expect("an outline is plain data"),
    }
}

/// Checks everything that can be checked without starting; problems found before are included.
pub(crate) async fn check(builder: &mut Builder) -> Problems {
    let mut problems = std::mem::take(&mut builder.problems);
    for check in &builder.checks {
        if let Err(error) = check.run().await {
            problems.add_error("check-failed", check.place(), &error);
        }
    }
    problems
}

/// As [`check`], but asks nothing outside when something is wrong already.
///
/// # Errors
/// `Config` with all problems.
pub(crate) async fn check_all(builder: &mut Builder) -> Result<()> {
    let problems = if builder.problems.is_empty() {
        check(builder).await
    } else {
        std::mem::take(&mut builder.problems)
    };
    problems.into_result()
}

impl Builder {
    /// Says how a subtask keeps its state.
    pub(crate) fn keeping(&self) -> impl Fn(&mut Wiring) -> Keeping + Send + 'static + use<> {
        let (groups, job): (_, Arc<str>) = (self.key_groups(), self.name.as_str().into());
        let state = self.state.clone();
        move |wiring| Keeping {
            groups,
            restored: wiring.restored.take(),
            snapshots: wiring.snapshots,
            job: Arc::clone(&job),
            state: state.clone(),
        }
    }
}

/// A checked job, ready to run.
pub(crate) struct Running {
    builder: Builder,
    shape: Shape,
    replay: Option<Replays>,
    clock: Clock,
    shake: Option<u64>,
    restore: Option<Restore>,
    checkpoints: Option<Checkpoints>,
    observe: Option<Observe>,
}

impl Running {
    pub(crate) fn new(builder: Builder) -> Self {
        let shape = Shape::of(&builder.graph);
        let (replay, shake, restore, checkpoints, observe) = (None, None, None, None, None);
        Self { builder, shape, replay, clock: Clock::wall(), shake, restore, checkpoints, observe }
    }

    /// A run in a test: by another clock, with subtasks interleaved by a seed.
    #[cfg(feature = "test")]
    pub(crate) fn testing(self, clock: Clock, seed: Option<u64>) -> Self {
        Self { clock, shake: seed, ..self }
    }

    /// A run that begins with `restore` and gives its checkpoints to `checkpoints`; `observe` sees each answer to a
    /// barrier.
    #[cfg(feature = "test")]
    pub(crate) fn keeping(
        self,
        checkpoints: Checkpoints,
        restore: Option<Restore>,
        observe: Observe,
    ) -> Self {
        Self { checkpoints: Some(checkpoints), restore, observe: Some(observe), ..self }
    }

    /// A run that reads `replays` and nothing else.
    pub(crate) fn replaying(self, replays: Replays) -> Self {
        Self { replay: Some(replays), ..self }
    }

    /// What reads the totals while the job runs.
    pub(crate) fn totals(&self) -> impl Fn() -> Totals + Send + 'static + use<> {
        let (shape, metrics) = (self.shape.clone(), self.builder.metrics.clone());
        move || shape.totals(&metrics.snapshot())
    }

    /// Runs the job to its end.
    ///
    /// # Errors
    /// What made it fail.
    pub(crate) async fn run(self, stop: watch::Receiver<bool>) -> Result<Summary> {
        let Self { builder, shape, replay, clock, shake, restore, checkpoints, observe } = self;
        let Builder { name, graph, settings, dirty, metrics, splits, resources, .. } = builder;
        let budget = match replay {
            None => DirtyBudget::new(dirty.budget_count, dirty.budget_ratio, dirty.budget_window),
            // All that is replayed was dirty before.
            Some(_) => DirtyBudget::new(None, None, dirty.budget_window),
        };
        let budget = Arc::new(budget);
        let run = JobRun {
            metrics: metrics.clone(),
            splits,
            budget,
            clock,
            shake,
            replay,
            restore,
            observe,
            checkpoints,
        };
        let settings = RunSettings {
            job: name.as_str().into(),
            parallelism: settings.parallelism,
            checkpoint: settings.checkpoint,
            flush: settings.flush,
            batch: settings.batch,
            buffer: settings.buffer,
            max_parallelism: settings.max_parallelism,
            drain_timeout: settings.drain_timeout,
        };
        let started = Instant::now();
        let outcome = Host::new(settings, run).run(graph, stop).await;
        let elapsed = started.elapsed();
        resources.end().await;
        let outcome = outcome.map_err(|error| error.with("job", &name))?;
        let figures: BTreeMap<(String, String), Figure> = metrics.snapshot();
        Ok(Summary::new(name, outcome, elapsed, &shape, &figures))
    }
}
