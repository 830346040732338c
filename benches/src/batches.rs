//! Sources that cost nothing: batches made beforehand, or copied from a template.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use flare::source::{Intake, Progress, Source};
use flare::{BoxedStream, Job, Result};

use crate::Stopwatch;

/// Records in a batch, as many as Flare puts into one by default.
pub const BATCH: usize = 1024;

/// Records 0 to `count` in batches.
pub fn in_batches<T>(count: usize, mut make: impl FnMut(u64) -> T) -> Vec<Vec<T>> {
    let batches = (0..count).step_by(BATCH).map(|start| {
        let end = count.min(start + BATCH);
        (start..end).map(|number| make(number as u64)).collect()
    });
    batches.collect()
}

/// Hands over batches made beforehand, without a copy. Starts the stopwatch at the first and stops it when the last
/// was taken in.
pub struct Batches<T> {
    batches: std::vec::IntoIter<Vec<T>>,
    watch: Stopwatch,
}

impl<T> Batches<T> {
    /// A source of these batches.
    pub fn new(batches: Vec<Vec<T>>, watch: Stopwatch) -> Self {
        Self { batches: batches.into_iter(), watch }
    }
}

#[async_trait]
impl<T: Send> Source<T> for Batches<T> {
    async fn read(&mut self, intake: &mut Intake<T>) -> Result<Progress> {
        // A source that never waits must let others run now and then.
        tokio::task::consume_budget().await;
        self.watch.start();
        match self.batches.next() {
            Some(batch) => {
                intake.batch = batch.into();
                Ok(Progress::More)
            }
            None => {
                self.watch.stop();
                Ok(Progress::End)
            }
        }
    }
}

/// Fills each batch anew from a template, as a parser fills them: the records are still in the processor's cache.
pub struct Refill<T> {
    template: Vec<T>,
    left: usize,
    watch: Stopwatch,
}

impl<T> Refill<T> {
    /// A source of so many batches.
    pub fn new(template: Vec<T>, batches: usize, watch: Stopwatch) -> Self {
        Self { template, left: batches, watch }
    }
}

#[async_trait]
impl<T: Clone + Send + Sync> Source<T> for Refill<T> {
    async fn read(&mut self, intake: &mut Intake<T>) -> Result<Progress> {
        tokio::task::consume_budget().await;
        self.watch.start();
        if self.left == 0 {
            self.watch.stop();
            return Ok(Progress::End);
        }
        self.left -= 1;
        intake.batch.items.extend_from_slice(&self.template);
        Ok(Progress::More)
    }
}

/// The stream of a source that exists already, in one subtask.
pub fn stream<T, R>(job: &mut Job, source: R) -> BoxedStream<T>
where
    T: Send + 'static,
    R: Source<T> + 'static,
{
    let source = Mutex::new(Some(source));
    let stream = job.source_with("records", move |_| {
        let source = source.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move { Ok(source.expect("there is one subtask")) }
    });
    stream.parallelism(1)
}
