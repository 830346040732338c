//! Another try after a pause, and halves of a batch until its bad records are found.

use std::time::Duration;

use async_trait::async_trait;

use crate::api::{Backoff, Counter, Sink, SinkBatch};
use crate::config::settings;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Reject;

settings! {
    /// Further tries after an error that may pass.
    pub struct RetrySettings {
        /// Tries after the first.
        times: u32 = "5",
        /// The pause before the second try; it doubles with each further one, less a random half.
        backoff: Duration [above "0s"] = "100ms",
        /// The longest pause.
        max_backoff: Duration [above "0s"] = "10s",
    }
}

/// A sink that is tried again, and whose bad records are found by halving.
pub struct Retrying<B> {
    sink: Box<dyn Sink<B>>,
    settings: RetrySettings,
    /// Whether a batch is written wholly or not at all.
    atomic_batches: bool,
    retries: Counter,
}

impl<B: SinkBatch> Retrying<B> {
    /// Wraps `sink`.
    pub fn new(
        sink: Box<dyn Sink<B>>,
        settings: RetrySettings,
        atomic_batches: bool,
        retries: Counter,
    ) -> Self {
        Self { sink, settings, atomic_batches, retries }
    }

    fn backoff(&self) -> Backoff {
        Backoff::new(self.settings.backoff, self.settings.max_backoff)
    }

    async fn pause(&mut self, attempt: u32, error: Error) -> Result<()> {
        if !error.is_retryable() {
            return Err(error);
        }
        if attempt > self.settings.times {
            return Err(error.with("attempts", attempt));
        }
        self.retries.add(1);
        let pause = self.backoff().pause(attempt);
        tracing::warn!(attempt, ?pause, "sink is tried again: {}", error.report());
        tokio::time::sleep(pause).await;
        Ok(())
    }

    async fn write_retrying(&mut self, batch: &B, rejects: &mut Vec<Reject>) -> Result<(), Failure> {
        let mut attempt = 1;
        while let Err(error) = self.sink.write(batch, rejects).await {
            let paused = self.pause(attempt, error).await;
            paused.map_err(|error| Failure { error, attempt })?;
            attempt += 1;
        }
        Ok(())
    }
}

struct Failure {
    error: Error,
    attempt: u32,
}

#[async_trait]
impl<B: SinkBatch> Sink<B> for Retrying<B> {
    /// Ranges still to be written wait in order, so that records of one key keep theirs.
    async fn write(&mut self, batch: &B, rejects: &mut Vec<Reject>) -> Result<()> {
        let whole = 0..batch.len();
        let mut ranges = vec![whole.clone()];
        while let Some(range) = ranges.pop() {
            let part = (range != whole).then(|| batch.slice(range.clone()));
            match self.write_retrying(part.as_ref().unwrap_or(batch), rejects).await {
                Ok(()) => {}
                Err(Failure { error, .. })
                    if error.kind() != ErrorKind::BadRecord || !self.atomic_batches =>
                {
                    return Err(error);
                }
                Err(Failure { error, attempt }) if range.len() == 1 => {
                    let (raw, meta) = (batch.raw(range.start), batch.meta(range.start));
                    rejects.push(Reject { attempt, ..Reject::new(raw, meta, error) });
                }
                Err(_) => {
                    let middle = range.start + range.len() / 2;
                    ranges.extend([middle..range.end, range.start..middle]);
                }
            }
        }
        Ok(())
    }

    async fn flush(&mut self, rejects: &mut Vec<Reject>) -> Result<()> {
        let mut attempt = 1;
        while let Err(error) = self.sink.flush(rejects).await {
            self.pause(attempt, error).await?;
            attempt += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Batch;

    /// Refuses odd numbers, and is away for the first `away` calls.
    struct Picky {
        away: u32,
        written: std::sync::Arc<std::sync::Mutex<Vec<u32>>>,
    }

    #[async_trait]
    impl Sink<Batch<u32>> for Picky {
        async fn write(&mut self, batch: &Batch<u32>, _rejects: &mut Vec<Reject>) -> Result<()> {
            if self.away > 0 {
                self.away -= 1;
                return Err(Error::new(ErrorKind::Unavailable, "away"));
            }
            if batch.items.iter().any(|item| item % 2 == 1) {
                return Err(Error::bad_record("odd"));
            }
            self.written.lock().expect("no panic").extend(&batch.items);
            Ok(())
        }

        async fn flush(&mut self, _rejects: &mut Vec<Reject>) -> Result<()> {
            Ok(())
        }
    }

    async fn write(away: u32, items: Vec<u32>) -> (Result<()>, Vec<u32>, Vec<Reject>) {
        let written = std::sync::Arc::default();
        let sink = Box::new(Picky { away, written: std::sync::Arc::clone(&written) });
        let backoff = Duration::from_millis(100);
        let settings = RetrySettings { times: 2, backoff, max_backoff: backoff };
        let mut sink = Retrying::new(sink, settings, true, Counter::default());
        let mut rejects = Vec::new();
        let result = sink.write(&items.into(), &mut rejects).await;
        let written = written.lock().expect("no panic").clone();
        (result, written, rejects)
    }

    #[tokio::test(start_paused = true)]
    async fn tries_again_as_often_as_set() {
        assert_eq!(write(2, vec![2, 4]).await.1, [2, 4]);
        let (result, written, _) = write(3, vec![2, 4]).await;
        assert_eq!(result.expect_err("away too long").context("attempts"), Some("3"));
        assert!(written.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn turns_aside_only_the_bad_records_and_keeps_order() {
        let (result, written, rejects) = write(1, vec![2, 4, 5, 6, 8, 9]).await;
        result.expect("the rest is written");
        assert_eq!(written, [2, 4, 6, 8]);
        let raw: Vec<_> = rejects.iter().map(|reject| String::from_utf8_lossy(&reject.raw)).collect();
        assert_eq!(raw, ["5", "9"]);
    }
}
