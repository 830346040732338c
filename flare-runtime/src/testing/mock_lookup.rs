//! Lookups whose rows a test gives.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::api::{Fetched, Lookup};
use crate::error::{Error, ErrorKind, Result};
use crate::job::declare::LookupRow;

/// A lookup of a test: rows by their keys, with delays and failures.
pub struct MockLookup<V: LookupRow> {
    rows: HashMap<V::Key, V>,
    delay: Duration,
    /// What the next requests answer instead of rows.
    script: Mutex<VecDeque<Answer>>,
    /// Keys that were asked for, a request each.
    requests: Mutex<Vec<Vec<V::Key>>>,
}

enum Answer {
    Fails(ErrorKind, String),
    Delays(Duration),
}

impl<V: LookupRow> MockLookup<V> {
    /// A lookup that has these rows and no others.
    pub fn of(rows: impl IntoIterator<Item = V>) -> Self {
        let rows = rows.into_iter().map(|row| (row.key(), row)).collect();
        Self { rows, delay: Duration::ZERO, script: Mutex::default(), requests: Mutex::default() }
    }

    /// How long each request takes.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Then one request fails: `Unavailable` and `Timeout` are tried again.
    #[must_use]
    pub fn fails(mut self, kind: ErrorKind, message: &str) -> Self {
        self.then(Answer::Fails(kind, message.to_owned()));
        self
    }

    /// Then one request takes so much longer.
    #[must_use]
    pub fn hangs(mut self, time: Duration) -> Self {
        self.then(Answer::Delays(time));
        self
    }

    fn then(&mut self, answer: Answer) {
        self.script.get_mut().unwrap_or_else(PoisonError::into_inner).push_back(answer);
    }
}

#[async_trait]
impl<V: LookupRow> Lookup<V::Key, V> for MockLookup<V> {
    async fn fetch(&self, keys: &[V::Key]) -> Result<Vec<Fetched<V>>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(keys.to_vec());
        let next = self.script.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let more = match next {
            Some(Answer::Delays(more)) => more,
            _ => Duration::ZERO,
        };
        if !(self.delay + more).is_zero() {
            tokio::time::sleep(self.delay + more).await;
        }
        if let Some(Answer::Fails(kind, message)) = next {
            return Err(Error::new(kind, message));
        }
        Ok(keys.iter().map(|key| self.rows.get(key).cloned().into()).collect())
    }

    async fn load(&self) -> Result<Vec<(V::Key, V)>> {
        Ok(self.rows.iter().map(|(key, row)| (key.clone(), row.clone())).collect())
    }

    fn concurrency(&self) -> usize {
        usize::MAX
    }

    fn max_batch(&self) -> usize {
        100
    }
}
