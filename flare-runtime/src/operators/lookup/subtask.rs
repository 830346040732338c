//! One subtask of a lookup: takes records in, waits for rows, lets joined records out.

use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use tokio::time::Instant;

use super::asks::{AskFigures, AskSettings, Asks, Event};
use super::cache::{Cache, Found};
use super::front::Front;
use super::settings::{LookupConfig, OnFailure};
use super::slots::{Answer, Leaving, Record, Slots};
use super::table::Table;
use crate::api::{
    Counter, DirtyStage, Downstream, Gauge, HostLink, InputPort, Lookup, StageContext, Subtask, until,
};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Batch, Control, Message, Meta, Reject};

/// What a lookup's subtask is made of.
pub struct LookupParts<T, K, V, U> {
    /// Name of the lookup, for dirty records.
    pub name: String,
    /// The records.
    pub input: InputPort<T>,
    /// Gives rows.
    pub lookup: Arc<dyn Lookup<K, V>>,
    /// The cache shared by the subtasks.
    pub cache: Cache<K, V>,
    /// The whole table, with `preload`.
    pub table: Option<Table<K, V>>,
    /// The settings.
    pub config: LookupConfig,
    /// Number of subtasks.
    pub parallelism: usize,
    /// A record's key.
    pub key: Box<dyn FnMut(&T) -> K + Send>,
    /// Joins a record with its row.
    pub join: Box<dyn FnMut(T, &V) -> U + Send>,
    /// The row for the strategy `default`.
    pub default: Option<Arc<V>>,
    /// The way out.
    pub downstream: Downstream<U>,
}

struct Figures {
    records_in: Counter,
    hits: Counter,
    cache_misses: Counter,
    not_found: Counter,
    timeouts: Counter,
    skipped: Counter,
    in_flight: Gauge,
}

impl Figures {
    fn new(cx: &StageContext) -> Self {
        let (metrics, operator) = (cx.metrics(), &cx.subtask.operator.0);
        let counter = |name: &str| metrics.counter(operator, name);
        Self {
            records_in: counter("records_in"),
            hits: counter("cache_hits"),
            cache_misses: counter("cache_misses"),
            not_found: counter("rows_missing"),
            timeouts: counter("timeouts"),
            skipped: counter("skipped"),
            in_flight: metrics.gauge(operator, &format!("in_flight.{}", cx.subtask.index)),
        }
    }
}

/// One subtask of a lookup.
pub struct LookupSubtask<T, K, V, U> {
    parts: LookupParts<T, K, V, U>,
    figures: Figures,
    slots: Slots<T, K, V>,
    asks: Asks<K, V>,
    front: Front<K, V>,
    /// Numbers of waiting records in the order of their deadlines.
    deadlines: VecDeque<(Instant, u64)>,
    /// What is left of a batch that has not found room yet.
    arriving: Arriving<T>,
    /// Kept for its memory.
    left: Vec<Leaving<T, K, V>>,
    /// The table on its way, while the old one is still served.
    loading: Option<BoxFuture<'static, Result<Vec<(K, V)>>>>,
    /// What happened while the way out was full.
    early: VecDeque<Event<K, V>>,
    ended: bool,
}

/// Records in order; those without metadata come last.
struct Arriving<T> {
    items: std::vec::IntoIter<T>,
    metas: std::vec::IntoIter<Meta>,
}

impl<T> From<Batch<T>> for Arriving<T> {
    fn from(batch: Batch<T>) -> Self {
        Self { items: batch.items.into_iter(), metas: batch.metas.into_iter() }
    }
}

impl<T> Arriving<T> {
    fn is_empty(&self) -> bool {
        self.items.as_slice().is_empty()
    }

    fn next(&mut self) -> Option<(T, Meta)> {
        let item = self.items.next()?;
        Some((item, self.metas.next().unwrap_or(Meta::NONE)))
    }
}

enum Happened<T, K, V> {
    Loaded(Result<Vec<(K, V)>>),
    Event(Event<K, V>),
    Deadline,
    Message(Message<T>),
    Flush,
    TookOver,
    Refresh,
}

impl<T, K, V, U> LookupSubtask<T, K, V, U>
where
    T: Serialize + Send + 'static,
    K: Hash + Eq + Clone + Send + Sync + std::fmt::Debug + 'static,
    V: Send + Sync + 'static,
    U: Send + 'static,
{
    /// A subtask of these parts.
    pub fn new(parts: LookupParts<T, K, V, U>) -> Self {
        let cx = &parts.downstream.cx;
        let (figures, ask_figures) = (Figures::new(cx), AskFigures::new(cx));
        let settings = &parts.config.lookup;
        let concurrency = settings.concurrency.unwrap_or_else(|| parts.lookup.concurrency());
        let asks = AskSettings {
            batch: settings.batch.min(parts.lookup.max_batch()).max(1),
            // Rows that are loaded anew hold no slot, so the capacity must bound requests, too.
            concurrency: (concurrency / parts.parallelism.max(1)).clamp(1, settings.capacity.max(1)),
            timeout: settings.timeout,
            retry: parts.config.retry.clone(),
        };
        let asks = Asks::new(Arc::clone(&parts.lookup), parts.cache.clone(), asks, ask_figures);
        let slots = Slots::new(settings.order);
        let front = Front::new(parts.cache.clone());
        Self {
            parts,
            figures,
            slots,
            asks,
            front,
            deadlines: VecDeque::new(),
            arriving: Batch::default().into(),
            left: Vec::new(),
            loading: None,
            early: VecDeque::new(),
            ended: false,
        }
    }

    /// Takes in what there is room for.
    fn admit(&mut self, now: Instant) -> Result<()> {
        if self.arriving.is_empty() {
            return Ok(());
        }
        let deadline = now + self.parts.config.lookup.timeout;
        let capacity = self.parts.config.lookup.capacity;
        let rows = self.parts.table.as_ref().map(Table::rows);
        let (mut hits, mut misses) = (0, 0);
        let Self { parts, slots, asks, front, deadlines, arriving, .. } = self;
        let LookupParts { key: key_of, downstream, .. } = parts;
        downstream.cx.guard(|cx| {
            while slots.held() < capacity
                && let Some((item, meta)) = arriving.next()
            {
                cx.current = meta;
                let key = key_of(&item);
                let found = match &rows {
                    Some(rows) => Found::Fresh(rows.get(&key).cloned()),
                    None => front.get(&key, now),
                };
                if let Found::Ageing(_) = found {
                    asks.ask(&key, None);
                }
                let record = Record { item, meta, key };
                if let Found::Fresh(row) | Found::Ageing(row) = found {
                    hits += 1;
                    slots.pass(record, row.map_or(Answer::Miss, Answer::Row));
                } else {
                    misses += 1;
                    deadlines.push_back((deadline, await_row(slots, asks, record)));
                }
            }
        })?;
        self.figures.hits.add(hits);
        self.figures.cache_misses.add(misses);
        Ok(())
    }

    /// Works off one event and all others that are there already: answers come before timeouts.
    fn answer(&mut self, first: Event<K, V>) {
        let now = Instant::now();
        let mut answered = Vec::new();
        self.asks.apply(first, now, &mut answered);
        while let Some(event) = self.early.pop_front().or_else(|| self.asks.next().now_or_never()) {
            self.asks.apply(event, now, &mut answered);
        }
        for (waiters, answer) in answered {
            for number in waiters.iter() {
                self.slots.answer(number, answer.clone());
            }
        }
        // Whoever was answered needs no deadline any more; the queue is cleaned from its front.
        while let Some((_, number)) = self.deadlines.front() {
            if self.slots.waiting(*number).is_some() {
                break;
            }
            self.deadlines.pop_front();
        }
    }

    fn expire(&mut self) {
        let now = Instant::now();
        while let Some((_, number)) = self.deadlines.front().copied().filter(|(at, _)| *at <= now) {
            self.deadlines.pop_front();
            let Some(record) = self.slots.waiting(number) else { continue };
            self.asks.forget(&record.key, number);
            let stale = self.parts.cache.stale(&record.key, now);
            self.figures.timeouts.add(1);
            self.slots.answer(number, stale.map_or(Answer::Timeout, Answer::Row));
        }
    }

    /// Sends on what has its answer. Time that the way out takes is no lookup's fault, so it moves the deadlines.
    async fn let_out(&mut self, link: &HostLink) -> Result<()> {
        if !self.slots.is_leaving() {
            return Ok(());
        }
        let began = Instant::now();
        self.send_all(link).await?;
        let taken = began.elapsed();
        if taken > Duration::from_millis(1) {
            self.deadlines.iter_mut().for_each(|(at, _)| *at += taken);
        }
        Ok(())
    }

    async fn send_all(&mut self, link: &HostLink) -> Result<()> {
        let mut all = self.slots.take_leaving(std::mem::take(&mut self.left));
        let mut out = Batch::with_capacity(all.len());
        let mut rejects = Vec::new();
        for leaving in all.drain(..) {
            match leaving {
                Leaving::Record(record, answer) => self.join(record, answer, &mut out, &mut rejects)?,
                Leaving::Control(control) => {
                    self.send(&mut out, &mut rejects).await?;
                    self.control(link, control).await?;
                }
            }
        }
        self.left = all;
        self.send(&mut out, &mut rejects).await
    }

    async fn send(&mut self, out: &mut Batch<U>, rejects: &mut Vec<Reject>) -> Result<()> {
        let Self { parts, asks, early, .. } = self;
        let (out, rejects) = (std::mem::take(out), std::mem::take(rejects));
        beside(asks, early, parts.downstream.reject(DirtyStage::Lookup, rejects)).await?;
        if out.is_empty() { Ok(()) } else { beside(asks, early, parts.downstream.batch(out)).await }
    }

    async fn control(&mut self, link: &HostLink, control: Control) -> Result<()> {
        match control {
            Control::End => {
                self.ended = true;
                self.parts.downstream.end(link).await
            }
            control => {
                let Self { parts, asks, early, .. } = self;
                beside(asks, early, parts.downstream.control(control)).await?;
                if let Control::Barrier(barrier) = control {
                    link.acknowledge(barrier, Default::default()).await;
                }
                Ok(())
            }
        }
    }

    fn join(
        &mut self,
        record: Record<T, K>,
        answer: Answer<V>,
        out: &mut Batch<U>,
        rejects: &mut Vec<Reject>,
    ) -> Result<()> {
        if let Answer::Row(row) = answer {
            return self.emit(record, &row, out);
        }
        let (on_failure, error, attempt) = self.unanswered(answer);
        let error = error.with("lookup", &self.parts.name).with("key", format!("{:?}", record.key));
        match (on_failure, self.parts.default.clone()) {
            (OnFailure::Default, Some(row)) => self.emit(record, &row, out),
            (OnFailure::Skip, _) => {
                self.figures.skipped.add(1);
                Ok(())
            }
            (OnFailure::Dirty, _) => {
                let raw = serde_json::to_vec(&record.item).unwrap_or_default();
                rejects.push(Reject { attempt, ..Reject::new(raw, record.meta, error) });
                Ok(())
            }
            (OnFailure::Fail | OnFailure::Default, _) => Err(self.fatal(error, record.meta)),
        }
    }

    /// What becomes of a record without a row, why, and how often its key was asked for.
    fn unanswered(&self, answer: Answer<V>) -> (OnFailure, Error, u32) {
        let strategies = &self.parts.config.lookup;
        match answer {
            Answer::Row(_) | Answer::Miss => {
                self.figures.not_found.add(1);
                (strategies.on_miss, Error::bad_record("the lookup has no row for the key"), 1)
            }
            Answer::Timeout => {
                let timeout = crate::model::format_duration(strategies.timeout);
                let error = Error::new(ErrorKind::Timeout, "the lookup gave no answer in time");
                (strategies.on_timeout, error.with("timeout", timeout), 1)
            }
            Answer::Failed(error, attempt) if error.kind() == ErrorKind::User => {
                let failed = Error::new(ErrorKind::User, "user code panicked in a lookup");
                (OnFailure::Fail, failed.caused_by(error.report()), attempt)
            }
            Answer::Failed(error, attempt) => {
                let wrapped = Error::new(error.kind(), "the lookup failed").caused_by(error.report());
                (strategies.on_error, wrapped, attempt)
            }
        }
    }

    /// The error that fails the job.
    fn fatal(&self, error: Error, meta: Meta) -> Error {
        let cx = &self.parts.downstream.cx;
        if error.kind() == ErrorKind::User {
            return error.with("record", cx.origin(meta));
        }
        let message = "a record found no row, and the lookup is set to fail";
        let failed = Error::new(ErrorKind::Failed, message).with("operator", &cx.subtask);
        failed.with("record", cx.origin(meta)).caused_by(error)
    }

    fn emit(&mut self, record: Record<T, K>, row: &V, out: &mut Batch<U>) -> Result<()> {
        let LookupParts { join, downstream, .. } = &mut self.parts;
        let Record { item, meta, .. } = record;
        let joined = downstream.cx.guard(|cx| {
            cx.current = meta;
            join(item, row)
        })?;
        out.push(joined, meta);
        Ok(())
    }

    async fn happened(&mut self) -> Result<Happened<T, K, V>> {
        if let Some(event) = self.early.pop_front() {
            return Ok(Happened::Event(event));
        }
        let deadline = self.deadlines.front().map(|(at, _)| *at);
        let refresh = self.parts.table.as_ref().and_then(Table::due);
        let hungry = self.arriving.is_empty();
        Ok(tokio::select! {
            biased;
            event = self.asks.next(), if self.asks.is_busy() => Happened::Event(event),
            () = until(deadline) => Happened::Deadline,
            () = until(self.parts.downstream.flush_at()) => Happened::Flush,
            loaded = finished(&mut self.loading) => Happened::Loaded(loaded),
            () = until(refresh), if self.loading.is_none() => Happened::Refresh,
            () = took_over(&mut self.parts.table) => Happened::TookOver,
            // Last, since constant input would let nothing behind it happen.
            message = self.parts.input.next(), if hungry => Happened::Message(message?),
        })
    }

    async fn turn(&mut self, link: &HostLink) -> Result<()> {
        match self.happened().await? {
            Happened::Event(event) => self.answer(event),
            Happened::Deadline => self.expire(),
            Happened::Message(Message::Control(control)) => self.slots.control(control),
            Happened::Message(Message::Batch(batch)) => {
                self.figures.records_in.add(batch.len() as u64);
                self.arriving = batch.into();
            }
            Happened::Flush => self.parts.downstream.flush().await?,
            // Its turn to load has come, and with it the time of the next load.
            Happened::TookOver => {}
            Happened::Refresh => {
                let lookup = Arc::clone(&self.parts.lookup);
                self.loading = self.parts.table.as_ref().map(|table| table.load(lookup));
            }
            Happened::Loaded(loaded) => self.renew(loaded),
        }
        let now = Instant::now();
        self.admit(now)?;
        self.asks.start(now);
        self.let_out(link).await?;
        self.figures.in_flight.set(i64::try_from(self.slots.held()).unwrap_or(i64::MAX));
        Ok(())
    }

    fn renew(&mut self, loaded: Result<Vec<(K, V)>>) {
        self.loading = None;
        let Some(table) = &mut self.parts.table else { return };
        match loaded {
            Ok(rows) => table.replace(rows),
            Err(error) => {
                table.postpone();
                tracing::warn!(lookup = %self.parts.name, "the table was not refreshed: {}", error.report());
            }
        }
    }

    async fn open(&mut self) -> Result<()> {
        let LookupParts { table, lookup, config, .. } = &mut self.parts;
        let Some(table) = table else { return Ok(()) };
        let backoff = crate::api::Backoff::new(config.retry.backoff, config.retry.max_backoff);
        let mut attempt = 1;
        while let Err(error) = table.open(lookup).await {
            if !error.is_retryable() || attempt > config.retry.times {
                return Err(error.with("lookup", &self.parts.name));
            }
            tokio::time::sleep(backoff.pause(attempt)).await;
            attempt += 1;
        }
        Ok(())
    }
}

/// Keeps a record until its row has come; returns its number.
fn await_row<T, K, V>(slots: &mut Slots<T, K, V>, asks: &mut Asks<K, V>, record: Record<T, K>) -> u64
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    let key = record.key.clone();
    let number = slots.wait(record);
    asks.ask(&key, Some(number));
    number
}

/// Waits for `sending` while requests go on.
async fn beside<K, V, R>(
    asks: &mut Asks<K, V>,
    early: &mut VecDeque<Event<K, V>>,
    sending: impl Future<Output = R>,
) -> R
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    tokio::pin!(sending);
    loop {
        tokio::select! {
            biased;
            sent = &mut sending => return sent,
            event = asks.next() => early.push_back(event),
        }
    }
}

/// As [`Table::take_over`]; pending without a table. Cancel safe.
async fn took_over<K, V>(table: &mut Option<Table<K, V>>)
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    match table {
        Some(table) => table.take_over().await,
        None => std::future::pending().await,
    }
}

/// The future's output, after which it is gone; pending without one. Cancel safe.
async fn finished<R>(future: &mut Option<BoxFuture<'static, R>>) -> R {
    match future {
        Some(running) => running.await,
        None => std::future::pending().await,
    }
}

#[async_trait]
impl<T, K, V, U> Subtask for LookupSubtask<T, K, V, U>
where
    T: Serialize + Send + 'static,
    K: Hash + Eq + Clone + Send + Sync + std::fmt::Debug + 'static,
    V: Send + Sync + 'static,
    U: Send + 'static,
{
    async fn run(mut self: Box<Self>, link: HostLink) -> Result<()> {
        self.open().await?;
        while !self.ended {
            self.turn(&link).await?;
        }
        Ok(())
    }
}
