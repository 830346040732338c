//! The partitions that a subtask reads, and how far it got in each.

use std::collections::BTreeMap;

use rdkafka::Message as _;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;

use super::client::{Endpoint, is_transient};
use super::events::Tail;
use super::offsets::{OUT_OF_RANGE, Span};
use crate::api::{Payloads, Positions, SourceContext};
use crate::error::{ErrorKind, Result};
use crate::model::{Meta, OperatorId, SplitId, Splits, Timestamp};

#[derive(Debug)]
struct Partition {
    number: i32,
    name: String,
    split: SplitId,
    /// The next offset to read.
    next: i64,
    end: Option<i64>,
    /// Meeting the partition's end means that `end` was passed too.
    end_is_near: bool,
    /// Nothing was read since the partition's end was met.
    at_end: bool,
    done: bool,
}

/// The partitions of one subtask. Partition p stands at index `p / parallelism`.
pub(crate) struct Partitions {
    endpoint: Endpoint,
    operator: OperatorId,
    splits: Splits,
    parallelism: usize,
    all: Vec<Partition>,
    bounded: bool,
    open: usize,
    /// Ended since the last [`Partitions::take_ended`].
    ended: Vec<i32>,
    /// Records without a payload since the last [`Partitions::take_tombstones`].
    tombstones: u64,
}

impl Partitions {
    pub(crate) fn new(endpoint: Endpoint, cx: &SourceContext, bounded: bool) -> Self {
        Self {
            endpoint,
            operator: cx.operator.clone(),
            splits: cx.splits.clone(),
            parallelism: cx.parallelism,
            all: Vec::new(),
            bounded,
            open: 0,
            ended: Vec::new(),
            tombstones: 0,
        }
    }

    /// Takes partitions over, and gives back those of which there is something to read.
    pub(crate) fn add(&mut self, spans: Vec<Span>) -> Vec<(i32, i64)> {
        // Replicas that follow may report an end that lies before the leader's.
        let leaders_only = self.endpoint.property("client.rack").is_none();
        let mut to_read = Vec::new();
        for span in spans {
            let name = self.endpoint.split(span.partition);
            let done = span.end.is_some_and(|end| end <= span.start);
            if !done {
                self.open += 1;
                to_read.push((span.partition, span.start));
            }
            self.all.push(Partition {
                number: span.partition,
                split: self.splits.register(&self.operator, &name),
                name,
                next: span.start,
                end: span.end,
                end_is_near: leaders_only && span.end.is_some_and(|end| end <= span.high),
                at_end: false,
                done,
            });
        }
        to_read
    }

    /// Whether there is nothing to read any more.
    pub(crate) fn are_finished(&self) -> bool {
        self.bounded && self.open == 0
    }

    /// Handles what the consumer yielded: hands a record over, or notes an event.
    pub(crate) fn take(
        &mut self,
        yielded: KafkaResult<BorrowedMessage<'_>>,
        payloads: &mut dyn Payloads,
    ) -> Result<()> {
        match yielded {
            Ok(message) => {
                self.record(&message, payloads);
                Ok(())
            }
            Err(KafkaError::PartitionEOF(number)) => {
                if let Some(index) = self.index(number) {
                    let partition = &mut self.all[index];
                    partition.at_end = true;
                    if partition.end_is_near {
                        self.finish(index);
                    }
                }
                Ok(())
            }
            Err(error) => self.event(error),
        }
    }

    fn record(&mut self, message: &BorrowedMessage<'_>, payloads: &mut dyn Payloads) {
        let Some(index) = self.index(message.partition()) else { return };
        let partition = &mut self.all[index];
        let offset = message.offset();
        if partition.done {
            return;
        }
        if partition.end.is_some_and(|end| offset >= end) {
            self.finish(index);
            return;
        }
        partition.at_end = false;
        partition.next = offset + 1;
        match message.payload() {
            Some(payload) => {
                let timestamp =
                    message.timestamp().to_millis().map_or(Timestamp::MIN, Timestamp::from_millis);
                payloads.push(payload, Meta { timestamp, split: partition.split, offset });
            }
            None => self.tombstones += 1,
        }
        if partition.end == Some(offset + 1) {
            self.finish(index);
        }
    }

    fn event(&self, error: KafkaError) -> Result<()> {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                Err(self.endpoint.error(ErrorKind::Failed, OUT_OF_RANGE).caused_by(error))
            }
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                let message = "the topic, or one of its partitions, was deleted while it was read";
                Err(self.endpoint.error(ErrorKind::Failed, message).caused_by(error))
            }
            // Needed for commits only, which report it themselves.
            Some(RDKafkaErrorCode::GroupAuthorizationFailed) => Ok(()),
            Some(code) if is_transient(code) => Ok(()),
            _ => Err(self.endpoint.client_error("reading", error).into_kind(ErrorKind::Failed)),
        }
    }

    /// Notes how far the partitions reach, and gives back how many records are still to be read. With `drained`, all
    /// that the consumer had was taken.
    pub(crate) fn note_tails(&mut self, tails: &BTreeMap<i32, Tail>, drained: bool) -> i64 {
        let mut lag = 0;
        for index in 0..self.all.len() {
            let partition = &self.all[index];
            let Some(tail) = tails.get(&partition.number).filter(|_| !partition.done) else { continue };
            // Behind the last record there may be marks of transactions, which are never handed over.
            let met_end = partition.at_end && drained;
            let next = if met_end { partition.next.max(tail.eof_offset) } else { partition.next };
            let until = partition.end.map_or(tail.ls_offset, |end| end.min(tail.ls_offset));
            lag += (until - next).max(0);
            if met_end && partition.end.is_some_and(|end| end <= tail.eof_offset) {
                self.finish(index);
            }
        }
        lag
    }

    /// The partitions that ended since the last call.
    pub(crate) fn take_ended(&mut self) -> Vec<i32> {
        std::mem::take(&mut self.ended)
    }

    /// The number of records without a payload since the last call.
    pub(crate) fn take_tombstones(&mut self) -> u64 {
        std::mem::take(&mut self.tombstones)
    }

    /// The splits of which there may be more.
    pub(crate) fn open_splits(&self) -> Vec<SplitId> {
        let open = self.all.iter().filter(|partition| !partition.done);
        open.map(|partition| partition.split).collect()
    }

    pub(crate) fn positions(&self) -> Positions {
        Positions(self.all.iter().map(|partition| (partition.name.clone(), partition.next)).collect())
    }

    fn finish(&mut self, index: usize) {
        let partition = &mut self.all[index];
        if !partition.done {
            partition.done = true;
            partition.next = partition.next.max(partition.end.unwrap_or(partition.next));
            self.open -= 1;
            self.ended.push(partition.number);
        }
    }

    fn index(&self, number: i32) -> Option<usize> {
        let index = usize::try_from(number).ok()? / self.parallelism;
        self.all.get(index).filter(|partition| partition.number == number)?;
        Some(index)
    }
}
