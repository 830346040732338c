//! What a topic takes, as its own settings say.

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::FromClientConfig;
use rdkafka::error::RDKafkaErrorCode;

use super::client::{Endpoint, REQUEST_TIMEOUT, Shared};
use crate::model::Timestamp;

/// What a topic takes. A broker refuses a whole batch for one record, so what can be known is checked before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Bytes of a batch, and so of a record.
    pub(crate) bytes: Option<u64>,
    /// Records without a key are refused.
    needs_key: bool,
    /// How far a record's time may lie in the past and in the future, in milliseconds.
    before: Option<i64>,
    after: Option<i64>,
}

impl Limits {
    /// Asks the cluster; where it does not tell, nothing is known.
    pub(crate) async fn ask(endpoint: &Endpoint) -> Self {
        Self::answer(endpoint).await.unwrap_or_default()
    }

    async fn answer(endpoint: &Endpoint) -> Option<Self> {
        let config = endpoint.config(&[], &[]);
        let admin = Shared::new(AdminClient::<DefaultClientContext>::from_config(&config).ok()?);
        let options = AdminOptions::new().request_timeout(Some(REQUEST_TIMEOUT));
        let topic = [ResourceSpecifier::Topic(&endpoint.topic)];
        let answer = admin.describe_configs(&topic, &options).await;
        Some(Self::read(&answer.ok()?.into_iter().next()?.ok()?))
    }

    fn read(resource: &ConfigResource) -> Self {
        let text = |name| resource.get(name).and_then(|entry| entry.value.as_deref());
        let number = |name| text(name).and_then(|text| text.parse::<i64>().ok());
        let own_time = text("message.timestamp.type") == Some("CreateTime");
        let time = |name| number(name).filter(|_| own_time);
        Self {
            bytes: number("max.message.bytes").and_then(|bytes| u64::try_from(bytes).ok()),
            needs_key: text("cleanup.policy").is_some_and(|policy| policy.contains("compact")),
            before: time("message.timestamp.before.max.ms"),
            after: time("message.timestamp.after.max.ms"),
        }
    }

    /// The moments that a record may carry now.
    pub(crate) fn times(&self) -> (Timestamp, Timestamp) {
        let now = Timestamp::now().as_millis();
        let first = self.before.map_or(i64::MIN, |before| now.saturating_sub(before));
        let last = self.after.map_or(i64::MAX, |after| now.saturating_add(after));
        (Timestamp::from_millis(first), Timestamp::from_millis(last))
    }

    /// Why the topic would refuse a record, if it would.
    pub(crate) fn refusal(
        &self,
        key: &[u8],
        timestamp: Timestamp,
        times: (Timestamp, Timestamp),
    ) -> Option<RDKafkaErrorCode> {
        if self.needs_key && key.is_empty() {
            return Some(RDKafkaErrorCode::InvalidRecord);
        }
        let timely = timestamp == Timestamp::MIN || (times.0..=times.1).contains(&timestamp);
        (!timely).then_some(RDKafkaErrorCode::InvalidTimestamp)
    }
}
