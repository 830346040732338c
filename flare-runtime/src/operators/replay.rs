//! Reads records again that were turned aside, and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;

use super::source::Parser;
use crate::api::{ByteSource, Decode, Intake, Payloads, Positions, Progress, Replay, Source, SourceContext};
use crate::error::{Error, Result};
use crate::model::{Meta, SplitId, Splits, Timestamp};

/// A source in a replay: first the records at hand, then those that it finds again. It commits nothing.
pub struct Replaying<T> {
    /// Finds records again; `None` when there are none to be found.
    source: Option<Box<dyn ByteSource>>,
    decode: Decode<T>,
    cx: SourceContext,
    replay: Arc<Replay>,
    /// The next record at hand; each subtask takes every `parallelism`-th.
    next: usize,
    wanted: BTreeMap<SplitId, BTreeSet<i64>>,
}

impl<T> Replaying<T> {
    /// A source that gives the records of `replay`; `source` reads what is not at hand.
    pub fn new(
        source: Option<Box<dyn ByteSource>>,
        decode: Decode<T>,
        cx: SourceContext,
        replay: Arc<Replay>,
    ) -> Self {
        let next = cx.index;
        Self { source, decode, cx, replay, next, wanted: BTreeMap::new() }
    }
}

#[async_trait]
impl<T: Send> Source<T> for Replaying<T> {
    async fn read(&mut self, intake: &mut Intake<T>) -> Result<Progress> {
        let Self { source, decode, cx, replay, next, wanted } = self;
        let mut parser = Parser { decode, intake };
        while let Some(record) = replay.records().get(*next) {
            if parser.is_full() {
                return Ok(Progress::More);
            }
            let known = !record.split.is_empty();
            let split = if known { cx.splits.register(&cx.operator, &record.split) } else { SplitId::NONE };
            parser.push(&record.payload, Meta { timestamp: Timestamp::MIN, split, offset: record.offset });
            *next += cx.parallelism.max(1);
        }
        if !parser.is_empty() {
            return Ok(Progress::More);
        }
        match source {
            Some(source) if !replay.missing().is_empty() => {
                let splits = &cx.splits;
                source.read(&mut Chosen { payloads: &mut parser, splits, replay, wanted }).await
            }
            _ => Ok(Progress::End),
        }
    }

    /// Nothing: a replay leaves the source's own positions alone.
    fn positions(&self) -> Positions {
        Positions::default()
    }
}

/// Lets through what is wanted.
struct Chosen<'a> {
    payloads: &'a mut dyn Payloads,
    splits: &'a Splits,
    replay: &'a Replay,
    wanted: &'a mut BTreeMap<SplitId, BTreeSet<i64>>,
}

impl Chosen<'_> {
    fn chooses(&mut self, meta: Meta) -> bool {
        let wanted = self.wanted.entry(meta.split).or_insert_with(|| {
            let split = self.splits.name(meta.split);
            let offsets = split.and_then(|split| self.replay.offsets().get(split.name.as_ref()).cloned());
            offsets.unwrap_or_default()
        });
        if !wanted.remove(&meta.offset) {
            return false;
        }
        if let Some(split) = self.splits.name(meta.split) {
            self.replay.found(&split.name, meta.offset);
        }
        true
    }
}

impl Payloads for Chosen<'_> {
    fn push(&mut self, payload: &[u8], meta: Meta) {
        if self.chooses(meta) {
            self.payloads.push(payload, meta);
        }
    }

    fn reject(&mut self, beginning: &[u8], meta: Meta, error: Error) {
        if self.chooses(meta) {
            self.payloads.reject(beginning, meta, error);
        }
    }

    fn is_full(&self) -> bool {
        self.payloads.is_full()
    }

    fn is_empty(&self) -> bool {
        self.payloads.is_empty()
    }
}
