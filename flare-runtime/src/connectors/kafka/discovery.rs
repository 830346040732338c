//! Looks for partitions that a topic got while it is read.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::client::Endpoint;
use super::config::{End, Start};
use super::offsets::{Consumer, Share, Span, Topic};
use crate::error::{Error, ErrorKind, Result};

struct Found {
    count: i32,
    /// Partitions of this subtask that it does not know yet.
    spans: Vec<Span>,
}

/// Asks from time to time how many partitions there are.
pub(crate) struct Discovery {
    endpoint: Endpoint,
    share: Share,
    /// `None` when there is nothing to look for.
    interval: Option<Duration>,
    due: Instant,
    known: i32,
    running: Option<JoinHandle<Result<Found>>>,
}

impl Discovery {
    pub(crate) fn new(endpoint: Endpoint, share: Share, interval: Option<Duration>, known: i32) -> Self {
        let due = Instant::now() + interval.unwrap_or_default();
        Self { endpoint, share, interval, due, known, running: None }
    }

    /// Waits until there are new partitions, and gives back those of this subtask.
    ///
    /// # Cancel safety
    /// Cancel safe: a question under way is taken up by the next call.
    pub(crate) async fn next(&mut self, consumer: &super::client::Shared<Consumer>) -> Vec<Span> {
        let Some(interval) = self.interval else { return std::future::pending().await };
        loop {
            let Some(running) = &mut self.running else {
                tokio::time::sleep_until(self.due).await;
                self.running = Some(self.ask(consumer.handle()));
                continue;
            };
            let answer = running.await;
            self.running = None;
            self.due = Instant::now() + interval;
            let stopped = |error| Error::new(ErrorKind::Failed, "the question was stopped").caused_by(error);
            match answer.map_err(stopped).and_then(std::convert::identity) {
                Ok(Found { count, spans }) => {
                    self.known = count;
                    if !spans.is_empty() {
                        return spans;
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        error = error.report(),
                        "new partitions cannot be looked for; trying again"
                    );
                }
            }
        }
    }

    fn ask(&self, consumer: Arc<Consumer>) -> JoinHandle<Result<Found>> {
        let (endpoint, share, known) = (self.endpoint.clone(), self.share, self.known);
        tokio::task::spawn_blocking(move || {
            let topic = Topic { consumer: &consumer, endpoint: &endpoint };
            let count = topic.partition_count()?;
            // They are new, so whoever starts at the first record misses none.
            let spans = topic.spans(&share.of(known, count), count, &Start::Earliest, &End::Never)?;
            Ok(Found { count: count.max(known), spans })
        })
    }
}
