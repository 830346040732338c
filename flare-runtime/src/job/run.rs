//! Starts a described job and sees it through.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::builder::Builder;
use super::load::Described;
pub use super::report::Summary;
use super::report::{Shape, environment};
use crate::api::{DirtyBudget, Metrics};
use crate::config::Problems;
use crate::engine::{Host, JobRun, RunSettings};
use crate::error::{Error, ErrorKind, Result};
use crate::monitor::Progress;
use crate::plan;

/// A job's graph for people.
pub struct Plan {
    /// A line a stage.
    pub text: String,
    /// A Mermaid flowchart.
    pub mermaid: String,
}

/// The graph of a described job.
pub(crate) fn plan(described: &Described) -> Plan {
    let Builder { graph, settings, .. } = &described.builder;
    Plan {
        text: plan::text(graph, settings.parallelism),
        mermaid: plan::mermaid(graph, settings.parallelism),
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

/// Runs a described job to its end.
///
/// # Errors
/// `Config` with all problems, or what made the job fail.
pub(crate) async fn run(mut described: Described, version: &str) -> Result<Summary> {
    let problems = if described.builder.problems.is_empty() {
        check(&mut described.builder).await
    } else {
        std::mem::take(&mut described.builder.problems)
    };
    problems.into_result()?;
    eprint!("{}", environment(&described, version));
    let Builder { name, graph, settings, dirty, metrics, splits, .. } = described.builder;
    let shape = Shape::of(&graph);
    let budget = DirtyBudget::new(dirty.budget_count, dirty.budget_ratio, dirty.budget_window);
    let run = JobRun { metrics: metrics.clone(), splits, budget: Arc::new(budget) };
    let host = Host::new(
        RunSettings {
            job: name.as_str().into(),
            parallelism: settings.parallelism,
            checkpoint: settings.checkpoint,
            flush: settings.flush,
            batch: settings.batch,
            buffer: settings.buffer,
            drain_timeout: settings.drain_timeout,
        },
        run,
    );
    let started = Instant::now();
    let progress = progress(&shape, &metrics);
    let outcome = host.run(graph, stop_signal()?).await;
    drop(progress);
    let elapsed = started.elapsed();
    let outcome = outcome.map_err(|error| error.with("job", &name))?;
    let figures = metrics.snapshot();
    Ok(Summary::new(name, outcome.ending, elapsed, outcome.checkpoints, &shape, &figures))
}

/// A live line on a terminal; nothing of the kind in a pipe.
fn progress(shape: &Shape, metrics: &Metrics) -> Option<Progress> {
    if !std::io::stderr().is_terminal() {
        return None;
    }
    let (shape, metrics) = (shape.clone(), metrics.clone());
    Some(Progress::start(Duration::from_millis(200), move || {
        let (read, written, dirty) = shape.totals(&metrics.snapshot());
        crate::monitor::Totals { read, written, dirty }
    }))
}

/// Becomes true at the first Ctrl-C or SIGTERM; the second one ends the process.
fn stop_signal() -> Result<watch::Receiver<bool>> {
    use tokio::signal::unix::{SignalKind, signal};
    let no_signals = |error| Error::new(ErrorKind::Failed, "signals cannot be heard").caused_by(error);
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        for ending in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if ending {
                tracing::warn!("stopped at once; the last checkpoint stands");
                std::process::exit(130);
            }
            tracing::info!("stopping: sources end, the rest drains; once more to stop at once");
            sender.send_replace(true);
        }
    });
    Ok(receiver)
}
