//! The keys that are asked for: one request for all who wait for a key, many keys in one request.

use std::collections::VecDeque;
use std::hash::Hash;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use ahash::AHashMap;
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use super::cache::Cache;
use super::settings::LookupRetry;
use super::slots::Answer;
use crate::api::{Backoff, Counter, Fetched, Histogram, Lookup, StageContext};
use crate::error::{Error, ErrorKind, Result};
use crate::model::panic_error;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Queued,
    Asked,
    Pausing,
}

/// Numbers of the records that wait for a key: mostly one, for which no list is needed.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    first: Option<u64>,
    others: Vec<u64>,
}

impl Waiters {
    fn add(&mut self, number: u64) {
        if self.first.is_none() {
            self.first = Some(number);
        } else {
            self.others.push(number);
        }
    }

    fn remove(&mut self, number: u64) {
        if self.first == Some(number) {
            self.first = (!self.others.is_empty()).then(|| self.others.remove(0));
        } else {
            self.others.retain(|other| *other != number);
        }
    }

    fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// All numbers, in the order in which they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.first.into_iter().chain(self.others.iter().copied())
    }
}

#[derive(Debug)]
struct Pending {
    /// Who waits for it.
    waiters: Waiters,
    state: State,
    /// Requests made.
    attempt: u32,
    /// Whether it must be asked for alone, since a request with others failed for good.
    alone: bool,
    /// Whether it is asked for although nobody waits, to renew the cache.
    refresh: bool,
}

impl Pending {
    fn is_wanted(&self) -> bool {
        self.refresh || !self.waiters.is_empty()
    }
}

/// Something that a request or a pause came to.
pub(super) enum Event<K, V> {
    Answered { keys: Vec<K>, started: Instant, result: Result<Vec<Fetched<V>>> },
    Due(Vec<K>),
}

/// An answer, and the numbers of those who waited for it.
pub(super) type Answered<V> = (Waiters, Answer<V>);

/// How requests are made.
pub(super) struct AskSettings {
    pub(super) batch: usize,
    pub(super) concurrency: usize,
    pub(super) timeout: Duration,
    pub(super) retry: LookupRetry,
}

/// What is counted of requests.
pub(super) struct AskFigures {
    requests: Counter,
    retries: Counter,
    failures: Counter,
    stale: Counter,
    latency: Histogram,
}

impl AskFigures {
    pub(super) fn new(cx: &StageContext) -> Self {
        let (metrics, operator) = (cx.metrics(), &cx.subtask.operator.0);
        let counter = |name: &str| metrics.counter(operator, name);
        Self {
            requests: counter("requests"),
            retries: counter("retries"),
            failures: counter("request_failures"),
            stale: counter("stale_rows"),
            latency: metrics.histogram(operator, "request_latency"),
        }
    }
}

pub(super) struct Asks<K, V> {
    lookup: Arc<dyn Lookup<K, V>>,
    cache: Cache<K, V>,
    settings: AskSettings,
    figures: AskFigures,
    pending: AHashMap<K, Pending>,
    /// Keys to ask for; a key that is no longer wanted is passed over.
    queue: VecDeque<K>,
    running: usize,
    events: FuturesUnordered<BoxFuture<'static, Event<K, V>>>,
}

impl<K, V> Asks<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    pub(super) fn new(
        lookup: Arc<dyn Lookup<K, V>>,
        cache: Cache<K, V>,
        settings: AskSettings,
        figures: AskFigures,
    ) -> Self {
        Self {
            lookup,
            cache,
            settings,
            figures,
            pending: AHashMap::new(),
            queue: VecDeque::new(),
            running: 0,
            events: FuturesUnordered::new(),
        }
    }

    /// Asks for `key` on behalf of `waiter`, or to renew the cache.
    pub(super) fn ask(&mut self, key: &K, waiter: Option<u64>) {
        let queue = &mut self.queue;
        let pending = self.pending.entry(key.clone()).or_insert_with(|| {
            queue.push_back(key.clone());
            let waiters = Waiters::default();
            Pending { waiters, state: State::Queued, attempt: 0, alone: false, refresh: waiter.is_none() }
        });
        if let Some(waiter) = waiter {
            pending.waiters.add(waiter);
        }
    }

    /// `waiter` waits no longer. A key that nobody waits for is neither asked for nor tried again.
    pub(super) fn forget(&mut self, key: &K, waiter: u64) {
        let Some(pending) = self.pending.get_mut(key) else { return };
        pending.waiters.remove(waiter);
        if !pending.is_wanted() && pending.state != State::Asked {
            self.pending.remove(key);
        }
    }

    /// Starts as many requests as may run.
    pub(super) fn start(&mut self, now: Instant) {
        while self.running < self.settings.concurrency {
            let keys = self.next_keys();
            if keys.is_empty() {
                return;
            }
            self.request(keys, now);
        }
    }

    fn request(&mut self, keys: Vec<K>, now: Instant) {
        self.running += 1;
        self.figures.requests.add(1);
        let (lookup, limit) = (Arc::clone(&self.lookup), self.settings.timeout);
        self.events.push(Box::pin(async move {
            let fetched = tokio::time::timeout_at(now + limit, lookup.fetch(&keys));
            let result = match AssertUnwindSafe(fetched).catch_unwind().await {
                Ok(fetched) => fetched.unwrap_or_else(|_| Err(no_answer(limit))),
                Err(panic) => Err(panic_error(ErrorKind::User, "user code panicked", &*panic)),
            };
            Event::Answered { keys, started: now, result }
        }));
    }

    /// The keys of the next request.
    fn next_keys(&mut self) -> Vec<K> {
        let mut keys = Vec::with_capacity(self.settings.batch.min(self.queue.len()));
        while keys.len() < self.settings.batch {
            let Some(key) = self.queue.front() else { break };
            let Some(pending) = self.pending.get_mut(key).filter(|pending| pending.state == State::Queued)
            else {
                self.queue.pop_front();
                continue;
            };
            if pending.alone && !keys.is_empty() {
                break;
            }
            pending.state = State::Asked;
            pending.attempt += 1;
            let alone = pending.alone;
            keys.extend(self.queue.pop_front());
            if alone {
                break;
            }
        }
        keys
    }

    /// Whether a request or a pause is under way.
    pub(super) fn is_busy(&self) -> bool {
        !self.events.is_empty()
    }

    /// The next thing that happens; pending for ever when nothing is under way. Cancel safe.
    pub(super) async fn next(&mut self) -> Event<K, V> {
        match self.events.next().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    /// Works off an event; whoever is answered by it is added to `answered`.
    pub(super) fn apply(&mut self, event: Event<K, V>, now: Instant, answered: &mut Vec<Answered<V>>) {
        match event {
            Event::Due(keys) => self.resume(keys),
            Event::Answered { keys, started, result } => {
                self.running -= 1;
                self.figures.latency.record(now.saturating_duration_since(started));
                match result {
                    Ok(rows) if rows.len() == keys.len() => self.rows(keys, rows, now, answered),
                    Ok(rows) => {
                        let error = Error::new(
                            ErrorKind::Failed,
                            "the lookup gave another number of rows than of keys",
                        );
                        let error = error.with("keys", keys.len()).with("rows", rows.len());
                        self.failure(keys, error, now, answered);
                    }
                    Err(error) => self.failure(keys, error, now, answered),
                }
            }
        }
    }

    fn resume(&mut self, keys: Vec<K>) {
        for key in keys {
            if let Some(pending) =
                self.pending.get_mut(&key).filter(|pending| pending.state == State::Pausing)
            {
                pending.state = State::Queued;
                self.queue.push_front(key);
            }
        }
    }

    fn rows(&mut self, keys: Vec<K>, rows: Vec<Fetched<V>>, now: Instant, answered: &mut Vec<Answered<V>>) {
        let asked = keys.len();
        let (mut again, mut hidden, mut unmatched) = (Vec::new(), Vec::new(), Vec::new());
        for (key, row) in keys.into_iter().zip(rows) {
            let row = match row {
                Fetched::Row(row) => Some(Arc::new(row)),
                Fetched::Hidden if asked > 1 => {
                    hidden.push(key);
                    continue;
                }
                Fetched::Unmatched if asked > 1 => {
                    unmatched.push(key);
                    continue;
                }
                _ if self.settings.retry.on_miss && self.may_retry(&key) => {
                    again.push(key);
                    continue;
                }
                Fetched::Missing | Fetched::Hidden | Fetched::Unmatched => None,
            };
            let answer = row.clone().map_or(Answer::Miss, Answer::Row);
            answered.extend(self.pending.remove(&key).map(|pending| (pending.waiters, answer)));
            self.cache.put(key, row, now);
        }
        self.pause(again);
        self.split(unmatched);
        if hidden.len() < asked {
            self.ask_rest(hidden, now);
        } else {
            self.split(hidden);
        }
    }

    /// Asks at once for what is left of a request, in the place of that request.
    fn ask_rest(&mut self, mut keys: Vec<K>, now: Instant) {
        self.forget_unwanted(&mut keys);
        if !keys.is_empty() {
            self.request(keys, now);
        }
    }

    /// Drops the keys of an answered request that nobody waits for any more.
    fn forget_unwanted(&mut self, keys: &mut Vec<K>) {
        keys.retain(|key| {
            let is_wanted = self.pending.get(key).is_some_and(Pending::is_wanted);
            if !is_wanted {
                self.pending.remove(key);
            }
            is_wanted
        });
    }

    fn failure(&mut self, keys: Vec<K>, error: Error, now: Instant, answered: &mut Vec<Answered<V>>) {
        self.figures.failures.add(1);
        if !error.is_retryable() && keys.len() > 1 {
            // One of the keys may be to blame.
            return self.split(keys);
        }
        let error = Arc::new(error);
        let mut again = Vec::new();
        for key in keys {
            if error.is_retryable() && self.may_retry(&key) {
                again.push(key);
                continue;
            }
            let Some(pending) = self.pending.remove(&key) else { continue };
            let stale = self.cache.stale(&key, now);
            self.figures.stale.add(if stale.is_some() { pending.waiters.len() as u64 } else { 0 });
            let failed = || Answer::Failed(Arc::clone(&error), pending.attempt);
            let answer = stale.map_or_else(failed, Answer::Row);
            answered.push((pending.waiters, answer));
        }
        self.pause(again);
    }

    /// Asks for each of the keys alone.
    fn split(&mut self, mut keys: Vec<K>) {
        self.forget_unwanted(&mut keys);
        for key in keys.into_iter().rev() {
            if let Some(pending) = self.pending.get_mut(&key) {
                pending.state = State::Queued;
                pending.alone = true;
                pending.attempt -= 1;
                self.queue.push_front(key);
            }
        }
    }

    /// Whether the key is still wanted and tries are left.
    fn may_retry(&self, key: &K) -> bool {
        let pending = self.pending.get(key);
        pending.is_some_and(|pending| pending.is_wanted() && pending.attempt <= self.settings.retry.times)
    }

    fn pause(&mut self, keys: Vec<K>) {
        let mut attempt = 1;
        for key in &keys {
            if let Some(pending) = self.pending.get_mut(key) {
                pending.state = State::Pausing;
                attempt = attempt.max(pending.attempt);
            }
        }
        if keys.is_empty() {
            return;
        }
        self.figures.retries.add(1);
        let LookupRetry { backoff, max_backoff, .. } = self.settings.retry;
        let pause = Backoff::new(backoff, max_backoff).pause(attempt);
        self.events.push(Box::pin(async move {
            tokio::time::sleep(pause).await;
            Event::Due(keys)
        }));
    }
}

fn no_answer(limit: Duration) -> Error {
    let limit = crate::model::format_duration(limit);
    Error::new(ErrorKind::Timeout, "no answer within the timeout").with("timeout", limit)
}
