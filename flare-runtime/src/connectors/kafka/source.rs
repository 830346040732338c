//! Reads a topic.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use tokio::task::JoinHandle;

use super::client::{Endpoint, OWNED_BY_SOURCE, REQUEST_TIMEOUT, Shared};
use super::config::{End, SourceSettings, Start};
use super::discovery::Discovery;
use super::events::SourceEvents;
use super::offsets::{Consumer, Share, Span, Topic};
use super::partitions::Partitions;
use crate::api::{
    ByteSource, Capability, Counter, CreateSource, Gauge, Opening, Payloads, Positions, Progress,
    SourceConnector, SourceContext,
};
use crate::config::{Setting, Settings};
use crate::error::{Error, ErrorKind, Result};
use crate::model::SplitId;

/// How long [`CreateSource::check`] and [`CreateSource::create`] may take.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Makes Kafka sources.
pub(crate) struct KafkaSources;

impl SourceConnector for KafkaSources {
    fn capability(&self) -> Capability {
        Capability { replayable: true, batch: 4096, ..Capability::NONE }
    }

    fn settings(&self) -> &'static [Setting] {
        SourceSettings::ALL
    }

    fn open(&self, opening: &mut Opening<'_>) -> Option<Box<dyn CreateSource>> {
        let settings: SourceSettings = opening.settings()?;
        let group = settings.group.clone().unwrap_or_else(|| opening.job.to_owned());
        let bounds = settings.bounds(&opening.binding.section, opening.problems);
        let endpoint = Endpoint::open(
            opening,
            &settings.cluster,
            &settings.topic,
            &settings.properties,
            OWNED_BY_SOURCE,
        );
        let (start, end) = bounds?;
        // A bounded read ends where the topic ended at its start: later partitions are not part of it.
        let discovery = (end == End::Never && !settings.discovery.is_zero()).then_some(settings.discovery);
        let plan = Plan { endpoint: endpoint?, group, start, end, discovery };
        Some(Box::new(KafkaSourceFactory(Arc::new(plan))))
    }
}

/// What all subtasks of a source have in common.
struct Plan {
    endpoint: Endpoint,
    group: String,
    start: Start,
    end: End,
    discovery: Option<Duration>,
}

impl Plan {
    /// All that is in the topic now.
    fn everything(endpoint: Endpoint, group: String) -> Self {
        Self { endpoint, group, start: Start::Earliest, end: End::Latest, discovery: None }
    }

    fn consumer(&self) -> Result<Shared<Consumer>> {
        let topic = &self.endpoint.topic;
        let fixed = [
            ("group.id", self.group.as_str()),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", "true"),
            ("statistics.interval.ms", "1000"),
        ];
        let config = self.endpoint.config(DEFAULTS, &fixed);
        let events = SourceEvents::new(&self.endpoint.cluster, topic);
        let consumer = Consumer::from_config_and_context(&config, events);
        let refused = |error| {
            let message =
                "the client refuses its properties; correct `properties` of the source or the cluster";
            self.endpoint.error(ErrorKind::Config, message).caused_by(error)
        };
        consumer.map(Shared::new).map_err(refused)
    }

    /// The number of partitions, and where those of `share` start and end.
    async fn spans(self: &Arc<Self>, consumer: &Shared<Consumer>, share: Share) -> Result<(i32, Vec<Span>)> {
        let (plan, consumer) = (Arc::clone(self), consumer.handle());
        let asked = tokio::task::spawn_blocking(move || {
            let topic = Topic { consumer: &consumer, endpoint: &plan.endpoint };
            let count = topic.partition_count()?;
            let spans = topic.spans(&share.of(0, count), count, &plan.start, &plan.end)?;
            Ok((count, spans))
        });
        match tokio::time::timeout(START_TIMEOUT, asked).await {
            Ok(answer) => answer.map_err(stopped)?,
            Err(_) => {
                let message = "the cluster does not answer; check `brokers` of the cluster";
                Err(self.endpoint.error(ErrorKind::Unavailable, message))
            }
        }
    }
}

/// Below the user's properties. A batch is parsed faster than a fetch takes, so the queue must refill at once when it
/// falls below its bound.
const DEFAULTS: &[(&str, &str)] = &[
    ("auto.offset.reset", "error"),
    ("check.crcs", "true"),
    // Also how long a commit waits for a coordinator that is gone; the client's own default is ten minutes.
    ("coordinator.query.interval.ms", "30000"),
    ("fetch.queue.backoff.ms", "5"),
    ("queued.min.messages", "100000"),
    ("queued.max.messages.kbytes", "65536"),
];

/// A source of all that is in a topic now; it commits nothing that anybody reads.
pub(super) fn everything(endpoint: Endpoint, group: String) -> Box<dyn CreateSource> {
    Box::new(KafkaSourceFactory(Arc::new(Plan::everything(endpoint, group))))
}

struct KafkaSourceFactory(Arc<Plan>);

#[async_trait]
impl CreateSource for KafkaSourceFactory {
    fn describe(&self) -> String {
        format!("kafka topic {}", self.0.endpoint.topic)
    }

    async fn check(&self) -> Result<()> {
        let consumer = self.0.consumer()?;
        let everything = Share { index: 0, parallelism: 1 };
        self.0.spans(&consumer, everything).await.map(drop)
    }

    async fn create(&self, cx: SourceContext) -> Result<Box<dyn ByteSource>> {
        let plan = match cx.replay {
            None => Arc::clone(&self.0),
            Some(_) => Arc::new(Plan::everything(self.0.endpoint.clone(), self.0.group.clone())),
        };
        let share = Share { index: cx.index, parallelism: cx.parallelism };
        let consumer = plan.consumer()?;
        let (count, mut spans) = plan.spans(&consumer, share).await?;
        if let Some(replay) = &cx.replay {
            for span in &mut spans {
                let split = plan.endpoint.split(span.partition);
                span.narrow(replay.offsets().get(&split));
            }
        }
        let endpoint = plan.endpoint.clone();
        let bounded = plan.end != End::Never;
        let mut source = KafkaSource {
            consumer,
            partitions: Partitions::new(endpoint.clone(), &cx, bounded),
            discovery: Discovery::new(endpoint.clone(), share, plan.discovery, count),
            endpoint,
            group: plan.group.clone(),
            committing: None,
            tombstones: cx.metrics.counter(&cx.operator.0, "tombstones"),
            lag: cx.metrics.gauge(&cx.operator.0, &format!("lag.{}", cx.index)),
        };
        source.lag.set(spans.iter().map(Span::len).sum());
        source.assign(spans)?;
        Ok(Box::new(source))
    }
}

/// Reads the partitions of one subtask.
struct KafkaSource {
    consumer: Shared<Consumer>,
    partitions: Partitions,
    discovery: Discovery,
    endpoint: Endpoint,
    /// Where to commit to, if anywhere.
    group: String,
    /// A commit that did not end in time.
    committing: Option<JoinHandle<Result<()>>>,
    tombstones: Counter,
    lag: Gauge,
}

impl KafkaSource {
    /// Reads `spans` too.
    fn assign(&mut self, spans: Vec<Span>) -> Result<()> {
        let to_read = self.partitions.add(spans);
        if to_read.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(to_read.len());
        let added = to_read.into_iter().try_for_each(|(partition, offset)| {
            list.add_partition_offset(&self.endpoint.topic, partition, Offset::Offset(offset))
        });
        let assigned = added.and_then(|()| self.consumer.incremental_assign(&list));
        assigned.map_err(|error| self.endpoint.client_error("assigning partitions", error))
    }

    /// Fetches no more of the partitions that have ended.
    fn pause_ended(&mut self) -> Result<()> {
        let ended = self.partitions.take_ended();
        if ended.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(ended.len());
        for partition in ended {
            list.add_partition(&self.endpoint.topic, partition);
        }
        let paused = self.consumer.pause(&list);
        paused.map_err(|error| self.endpoint.client_error("pausing partitions that have ended", error))
    }

    fn adopt(&mut self, spans: Vec<Span>) -> Result<()> {
        let partitions: Vec<i32> = spans.iter().map(|span| span.partition).collect();
        tracing::info!(topic = self.endpoint.topic, ?partitions, "reads new partitions");
        self.assign(spans)
    }

    fn note_tails(&mut self, drained: bool) {
        if let Some(tails) = self.consumer.client().context().fresh_tails() {
            self.lag.set(self.partitions.note_tails(&tails, drained));
        }
    }
}

#[async_trait]
impl ByteSource for KafkaSource {
    async fn read(&mut self, payloads: &mut dyn Payloads) -> Result<Progress> {
        while !self.partitions.are_finished() {
            let mut drained = true;
            let mut found = Vec::new();
            {
                let events = self.consumer.client().context();
                let mut stream = self.consumer.stream();
                tokio::select! {
                    biased;
                    spans = self.discovery.next(&self.consumer) => {
                        drained = false;
                        found = spans;
                    }
                    first = stream.next() => {
                        let mut yielded = first;
                        while let Some(message) = yielded {
                            self.partitions.take(message, payloads)?;
                            if payloads.is_full() {
                                drained = false;
                                break;
                            }
                            yielded = stream.next().now_or_never().flatten();
                        }
                    }
                    () = events.changed.notified() => {}
                }
            }
            if !found.is_empty() {
                self.adopt(found)?;
            }
            self.note_tails(drained);
            self.pause_ended()?;
            self.tombstones.add(self.partitions.take_tombstones());
            if !payloads.is_empty() {
                self.consumer.client().context().outage.over();
                return Ok(Progress::More);
            }
        }
        self.lag.set(0);
        Ok(Progress::End)
    }

    fn splits(&self) -> Option<Vec<SplitId>> {
        Some(self.partitions.open_splits())
    }

    fn positions(&self) -> Positions {
        self.partitions.positions()
    }

    async fn commit(&mut self, positions: &Positions) -> Result<()> {
        if positions.0.is_empty() {
            return Ok(());
        }
        let group = self.group.clone();
        if self.committing.as_ref().is_some_and(|committing| !committing.is_finished()) {
            let message = "the commit before is still under way; the next one covers this one too";
            return Err(self.endpoint.error(ErrorKind::Timeout, message));
        }
        let list = self.endpoint.offsets_of(positions)?;
        let (consumer, endpoint) = (self.consumer.handle(), self.endpoint.clone());
        let committing = self.committing.insert(tokio::task::spawn_blocking(move || {
            let committed = consumer.commit(&list, CommitMode::Sync);
            committed.map_err(|error| endpoint.client_error("committing offsets", error).with("group", group))
        }));
        let Ok(answer) = tokio::time::timeout(REQUEST_TIMEOUT, &mut *committing).await else {
            let message = "the group's coordinator does not answer a commit; the next one covers it too";
            return Err(self.endpoint.error(ErrorKind::Timeout, message));
        };
        self.committing = None;
        answer.map_err(stopped)?
    }
}

impl Endpoint {
    /// The name of a partition's split.
    pub(super) fn split(&self, partition: i32) -> String {
        format!("{}/{partition}", self.topic)
    }

    /// Those of `positions` that are partitions of this topic.
    fn offsets_of(&self, positions: &Positions) -> Result<TopicPartitionList> {
        let mut list = TopicPartitionList::with_capacity(positions.0.len());
        for (name, offset) in &positions.0 {
            let own = name.strip_prefix(self.topic.as_str()).and_then(|rest| rest.strip_prefix('/'));
            let Some(partition) = own.and_then(|number| number.parse().ok()) else { continue };
            let added = list.add_partition_offset(&self.topic, partition, Offset::Offset(*offset));
            added.map_err(|error| self.client_error("committing offsets", error))?;
        }
        Ok(list)
    }
}

fn stopped(error: tokio::task::JoinError) -> Error {
    Error::new(ErrorKind::Failed, "the request to kafka was stopped").caused_by(error)
}
