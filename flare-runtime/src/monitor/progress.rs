//! The live line on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Records so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Read by all sources.
    pub read: u64,
    /// Written by all sinks.
    pub written: u64,
    /// Turned aside.
    pub dirty: u64,
}

/// A line that is drawn anew while it exists.
pub struct Progress {
    bar: ProgressBar,
    task: JoinHandle<()>,
}

impl Progress {
    /// Draws what `totals` says, `every` so often.
    pub fn start(every: Duration, totals: impl Fn() -> Totals + Send + 'static) -> Self {
        let style = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}");
        let bar = ProgressBar::new_spinner().with_style(style.expect("a valid template"));
        let line = bar.clone();
        let task = tokio::spawn(async move {
            let mut last = (Instant::now(), Totals::default());
            loop {
                tokio::time::sleep(every).await;
                let now = (Instant::now(), totals());
                let seconds = now.0.duration_since(last.0).as_secs_f64().max(1e-3);
                let rate = (now.1.read - last.1.read) as f64 / seconds;
                let Totals { read, written, dirty } = now.1;
                line.set_message(format!("in {read} | out {written} | dirty {dirty} | {rate:.0} records/s"));
                line.tick();
                last = now;
            }
        });
        Self { bar, task }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}
