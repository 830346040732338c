//! Where each partition is read from and to: questions to the cluster, which block.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

use super::client::{Endpoint, REQUEST_TIMEOUT};
use super::config::{End, Start};
use super::events::SourceEvents;
use crate::error::{Error, ErrorKind, Result};

pub(crate) type Consumer = StreamConsumer<SourceEvents>;

/// The part of a partition that is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) partition: i32,
    /// Offset of the first record to read.
    pub(crate) start: i64,
    /// Offset of the first record not to read.
    pub(crate) end: Option<i64>,
    /// The partition's end when it was asked for.
    pub(crate) high: i64,
}

impl Span {
    /// Number of offsets that are there to be read.
    pub(crate) fn len(&self) -> i64 {
        let until = self.end.map_or(self.high, |end| end.min(self.high));
        (until - self.start).max(0)
    }

    /// Leaves of a span that ends at the partition's end only what reaches from the first to the last of `wanted`.
    pub(crate) fn narrow(&mut self, wanted: Option<&BTreeSet<i64>>) {
        let high = self.high;
        let first = wanted.and_then(BTreeSet::first).map_or(high, |first| *first);
        let behind = wanted.and_then(BTreeSet::last).map_or(high, |last| last.saturating_add(1));
        self.start = first.clamp(self.start.min(high), high);
        self.end = Some(behind.clamp(self.start, high));
    }
}

/// A subtask's share of the partitions: partition p belongs to subtask `p % parallelism`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    pub(crate) index: usize,
    pub(crate) parallelism: usize,
}

impl Share {
    /// The subtask's partitions among `known..count`, in order.
    pub(crate) fn of(self, known: i32, count: i32) -> Vec<i32> {
        let mine =
            |partition: &i32| usize::try_from(*partition).is_ok_and(|p| p % self.parallelism == self.index);
        (known..count).filter(mine).collect()
    }
}

/// A topic that can be asked.
pub(crate) struct Topic<'a> {
    pub(crate) consumer: &'a Consumer,
    pub(crate) endpoint: &'a Endpoint,
}

impl Topic<'_> {
    /// The number of partitions. Waits for a moment while the topic is being created.
    pub(crate) fn partition_count(&self) -> Result<i32> {
        let started = Instant::now();
        loop {
            let metadata = self.consumer.fetch_metadata(Some(&self.endpoint.topic), REQUEST_TIMEOUT);
            let metadata = metadata.map_err(|error| self.error("asking for the topic", error))?;
            let topic = metadata.topics().iter().find(|topic| topic.name() == self.endpoint.topic);
            let code = topic.map(|topic| topic.error().map(RDKafkaErrorCode::from));
            match (topic, code.flatten()) {
                (Some(topic), None) if !topic.partitions().is_empty() => {
                    return Ok(i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX));
                }
                (None, _) | (_, None | Some(RDKafkaErrorCode::UnknownTopicOrPartition)) => {
                    return Err(self.endpoint.no_topic());
                }
                (_, Some(RDKafkaErrorCode::LeaderNotAvailable)) if started.elapsed() < REQUEST_TIMEOUT => {
                    pause();
                }
                (_, Some(code)) => {
                    return Err(self.error("asking for the topic", KafkaError::MetadataFetch(code)));
                }
            }
        }
    }

    /// Where `partitions` start and end.
    pub(crate) fn spans(
        &self,
        partitions: &[i32],
        count: i32,
        start: &Start,
        end: &End,
    ) -> Result<Vec<Span>> {
        self.check_named("start_offsets", start_offsets(start), count)?;
        self.check_named("end_offsets", end_offsets(end), count)?;
        if partitions.is_empty() {
            return Ok(Vec::new());
        }
        let low = self.offsets_at(partitions, Offset::Beginning)?;
        let high = self.offsets_at(partitions, Offset::End)?;
        let starts = self.starts(partitions, start, &low, &high)?;
        let ends = self.ends(partitions, end, &high)?;
        let mut spans = Vec::with_capacity(partitions.len());
        for &partition in partitions {
            let (low, high) = (at(&low, partition), at(&high, partition));
            let start = starts.get(&partition).copied().unwrap_or(low);
            self.check_range(partition, start, low, high)?;
            spans.push(Span { partition, start, end: ends.get(&partition).copied(), high });
        }
        Ok(spans)
    }

    fn starts(
        &self,
        partitions: &[i32],
        start: &Start,
        low: &BTreeMap<i32, i64>,
        high: &BTreeMap<i32, i64>,
    ) -> Result<BTreeMap<i32, i64>> {
        match start {
            Start::Committed => self.committed(partitions),
            Start::Earliest => Ok(low.clone()),
            Start::Latest => Ok(high.clone()),
            Start::Timestamp(millis) => self.offsets_at_time(partitions, *millis, high),
            Start::Offsets(offsets) => Ok(offsets.clone()),
        }
    }

    fn ends(&self, partitions: &[i32], end: &End, high: &BTreeMap<i32, i64>) -> Result<BTreeMap<i32, i64>> {
        match end {
            End::Never => Ok(BTreeMap::new()),
            End::Latest => Ok(high.clone()),
            End::Timestamp(millis) => self.offsets_at_time(partitions, *millis, high),
            End::Offsets(offsets) => {
                let mut ends = high.clone();
                ends.extend(offsets);
                Ok(ends)
            }
        }
    }

    /// The first offsets at or after a moment; where there is none, the partition's end.
    fn offsets_at_time(
        &self,
        partitions: &[i32],
        millis: i64,
        high: &BTreeMap<i32, i64>,
    ) -> Result<BTreeMap<i32, i64>> {
        let mut offsets = high.clone();
        let found = self.offsets_at(partitions, Offset::Offset(millis))?;
        offsets.extend(found);
        Ok(offsets)
    }

    /// The offsets at `position`: the beginning, the end, or a moment given as an offset. A moment behind the last
    /// record is left out.
    fn offsets_at(&self, partitions: &[i32], position: Offset) -> Result<BTreeMap<i32, i64>> {
        let asked = self.list(partitions, position);
        let answer = asked.and_then(|list| self.consumer.offsets_for_times(list, REQUEST_TIMEOUT));
        self.offsets(answer, "asking for offsets")
    }

    fn committed(&self, partitions: &[i32]) -> Result<BTreeMap<i32, i64>> {
        let asked = self.list(partitions, Offset::Invalid);
        let answer = asked.and_then(|list| self.consumer.committed_offsets(list, REQUEST_TIMEOUT));
        self.offsets(answer, "asking for the group's committed offsets")
    }

    fn list(&self, partitions: &[i32], offset: Offset) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            list.add_partition_offset(&self.endpoint.topic, *partition, offset)?;
        }
        Ok(list)
    }

    fn offsets(
        &self,
        answer: KafkaResult<TopicPartitionList>,
        doing: &'static str,
    ) -> Result<BTreeMap<i32, i64>> {
        let answer = answer.map_err(|error| self.error(doing, error))?;
        let mut offsets = BTreeMap::new();
        for element in answer.elements() {
            let partition = element.partition();
            element.error().map_err(|error| self.error(doing, error).with("partition", partition))?;
            if let Offset::Offset(offset) = element.offset() {
                offsets.insert(partition, offset);
            }
        }
        Ok(offsets)
    }

    fn check_named(
        &self,
        setting: &'static str,
        offsets: Option<&BTreeMap<i32, i64>>,
        count: i32,
    ) -> Result<()> {
        let unknown = offsets.into_iter().flat_map(BTreeMap::keys).find(|partition| **partition >= count);
        let Some(partition) = unknown else { return Ok(()) };
        let message = format!("`{setting}` names a partition that the topic does not have; correct it");
        Err(self
            .endpoint
            .error(ErrorKind::Config, message)
            .with("partition", partition)
            .with("partitions", count))
    }

    /// A start outside of the log would lose or repeat records without a word.
    fn check_range(&self, partition: i32, start: i64, low: i64, high: i64) -> Result<()> {
        if (low..=high).contains(&start) || self.endpoint.property("auto.offset.reset").is_some() {
            return Ok(());
        }
        let error = self.endpoint.error(ErrorKind::Config, OUT_OF_RANGE);
        Err(error.with("partition", partition).with("offset", start).with("first", low).with("end", high))
    }

    fn error(&self, doing: &'static str, error: KafkaError) -> Error {
        self.endpoint.client_error(doing, error)
    }
}

/// Waits a moment; questions run on threads that may block.
#[expect(clippy::disallowed_methods, reason = "this thread is not one of the runtime's own")]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}

/// What to do when a position is not in the log.
pub(crate) const OUT_OF_RANGE: &str = "the offset to read from is no longer, or not yet, in the partition: records \
    were deleted before they were read, or the topic was created anew; set start = \"earliest\" or \"latest\", or \
    the property `auto.offset.reset`, to go on without them";

fn start_offsets(start: &Start) -> Option<&BTreeMap<i32, i64>> {
    if let Start::Offsets(offsets) = start { Some(offsets) } else { None }
}

fn end_offsets(end: &End) -> Option<&BTreeMap<i32, i64>> {
    if let End::Offsets(offsets) = end { Some(offsets) } else { None }
}

fn at(offsets: &BTreeMap<i32, i64>, partition: i32) -> i64 {
    offsets.get(&partition).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrows_a_span_to_what_is_wanted_and_still_there() {
        let narrowed = |wanted: &[i64]| {
            let mut span = Span { partition: 0, start: 10, end: Some(20), high: 20 };
            span.narrow(Some(&wanted.iter().copied().collect()));
            (span.start, span.end)
        };
        assert_eq!(narrowed(&[12, 15]), (12, Some(16)));
        assert_eq!(narrowed(&[3, 15]), (10, Some(16)));
        assert_eq!(narrowed(&[3]), (10, Some(10)));
        assert_eq!(narrowed(&[30]), (20, Some(20)));
        assert_eq!(narrowed(&[]), (20, Some(20)));
    }

    #[test]
    fn spreads_partitions_over_subtasks() {
        let share = Share { index: 1, parallelism: 3 };
        assert_eq!(share.of(0, 8), [1, 4, 7]);
        assert_eq!(share.of(5, 8), [7]);
        assert_eq!(share.of(0, 1), [0; 0]);
    }
}
