//! How a cluster is reached: settings become client properties, client errors become Flare's.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::config::{ClusterSettings, Security};
use crate::api::Opening;
use crate::config::Choice;
use crate::error::{Error, ErrorKind};

/// How long a question to the cluster may take.
pub(crate) const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Properties that Flare sets itself, and what to use instead.
type Owned = &'static [(&'static str, &'static str)];

const OWNED_BY_CLUSTER: Owned = &[
    ("bootstrap.servers", "use `brokers` of the cluster"),
    ("metadata.broker.list", "use `brokers` of the cluster"),
    ("security.protocol", "use `security_protocol` of the cluster"),
    ("sasl.username", "use `username` of the cluster"),
    ("sasl.password", "use `password` of the cluster"),
    ("statistics.interval.ms", "Flare reads the consumer's lag from the statistics"),
    ("log_level", "use FLARE_LOG"),
    ("enable.random.seed", "leave it out"),
];

pub(crate) const OWNED_BY_SOURCE: Owned = &[
    ("group.id", "use `group`"),
    ("enable.auto.commit", "Flare commits what all sinks have written"),
    ("auto.commit.enable", "Flare commits what all sinks have written"),
    ("enable.auto.offset.store", "Flare commits what all sinks have written"),
    ("enable.partition.eof", "use `end`"),
];

pub(crate) const OWNED_BY_SINK: Owned = &[
    ("partitioner", "use `partitioner` of the sink"),
    ("linger.ms", "use `linger`"),
    ("queue.buffering.max.ms", "use `linger`"),
    ("compression.type", "use `compression`"),
    ("compression.codec", "use `compression`"),
    ("message.timeout.ms", "use `delivery_timeout`"),
    ("delivery.timeout.ms", "use `delivery_timeout`"),
    ("delivery.report.only.error", "leave it out"),
    ("transactional.id", "leave it out; this sink writes at least once"),
];

/// A topic on a cluster, and how clients reach it.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) cluster: String,
    pub(crate) topic: String,
    pub(crate) brokers: String,
    /// Everything but what only a source or only a sink needs.
    connection: ClientConfig,
    /// The source's or sink's own properties.
    properties: BTreeMap<String, String>,
}

impl Endpoint {
    /// Reads the cluster's section and joins it with the `properties` of a source or sink, of which it may not set
    /// those `owned`.
    pub(crate) fn open(
        opening: &mut Opening<'_>,
        cluster: &str,
        topic: &str,
        properties: &BTreeMap<String, String>,
        owned: Owned,
    ) -> Option<Self> {
        let section = format!("cluster.{cluster}");
        let settings = opening.section::<ClusterSettings>(&section)?;
        let before = opening.problems.len();
        let mut connection = ClientConfig::new();
        connection.set_log_level(RDKafkaLogLevel::Warning);
        connection.set("bootstrap.servers", &settings.brokers);
        connection.set("client.id", format!("flare-{}", opening.job));
        secure(&mut connection, &settings, &section, opening);
        let own_section = opening.binding.section.clone();
        check_properties(opening, &section, &settings.properties, &[OWNED_BY_CLUSTER, owned]);
        check_properties(opening, &own_section, properties, &[OWNED_BY_CLUSTER, owned]);
        connection.extend(settings.properties);
        let endpoint = Self {
            cluster: cluster.to_owned(),
            topic: topic.to_owned(),
            brokers: settings.brokers,
            connection,
            properties: properties.clone(),
        };
        (opening.problems.len() == before).then_some(endpoint)
    }

    /// A client's properties: `defaults`, above them the cluster's, then those of the source or sink; `fixed` are not
    /// to be changed. No default may have a second name in librdkafka, for then the user's would not replace it.
    pub(crate) fn config(&self, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = self.connection.clone();
        for (name, value) in defaults {
            if config.get(name).is_none() {
                config.set(*name, *value);
            }
        }
        config.extend(self.properties.clone());
        config.extend(fixed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        config
    }

    /// The value that the user set for a property, if any.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        self.properties.get(name).map(String::as_str).or_else(|| self.connection.get(name))
    }

    /// An error about this topic.
    pub(crate) fn error(&self, kind: ErrorKind, message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
        Error::new(kind, message).with("topic", &self.topic).with("cluster", &self.cluster)
    }

    /// An error of the client while `doing` something.
    pub(crate) fn client_error(&self, doing: &'static str, error: KafkaError) -> Error {
        let code = error.rdkafka_error_code();
        let error = match code {
            Some(code) if is_unreachable(code) => {
                let message = format!("{doing}: no broker answers; check `cluster.{}.brokers`", self.cluster);
                self.error(ErrorKind::Unavailable, message).with("brokers", &self.brokers).caused_by(error)
            }
            Some(code) if is_transient(code) => self.error(ErrorKind::Unavailable, doing).caused_by(error),
            _ => self.error(ErrorKind::Failed, doing).caused_by(error),
        };
        error.with("connector", "kafka")
    }

    /// The topic is not there.
    pub(crate) fn no_topic(&self) -> Error {
        let message = format!(
            "there is no such topic; correct `topic`, or create it with `kafka-topics.sh --bootstrap-server {} \
             --create --topic {}`",
            self.brokers, self.topic
        );
        self.error(ErrorKind::Config, message)
    }
}

fn secure(config: &mut ClientConfig, settings: &ClusterSettings, section: &str, opening: &mut Opening<'_>) {
    let protocol = settings.security_protocol;
    let name = Security::NAMES.iter().find(|(_, choice)| *choice == protocol).map_or("", |(name, _)| *name);
    config.set("security.protocol", name);
    let with_tls = matches!(protocol, Security::Ssl | Security::SaslSsl);
    let with_sasl = matches!(protocol, Security::SaslPlaintext | Security::SaslSsl);
    let lacks = |feature| !has_feature(feature);
    if (with_tls && lacks("ssl")) || (with_sasl && lacks("sasl")) {
        let message = format!("this build of Flare has no `{name}` connections to Kafka");
        let remedy = "use \"plaintext\", or build rdkafka with its features `ssl` and `sasl`";
        opening.problems.add("unsupported", format!("{section}.security_protocol"), message, remedy);
    }
    let credentials = [
        ("username", "sasl.username", settings.username.as_deref()),
        ("password", "sasl.password", settings.password.as_ref().map(|secret| secret.expose())),
    ];
    for (setting, property, value) in credentials {
        let place = format!("{section}.{setting}");
        match value {
            Some(value) if with_sasl => {
                config.set(property, value);
            }
            Some(_) => {
                let message = format!("`{setting}` counts only with SASL");
                let remedy = "set security_protocol = \"sasl_ssl\", or leave it out";
                opening.problems.add("conflicting-settings", place, message, remedy);
            }
            None => {}
        }
    }
    let named =
        ["sasl.mechanism", "sasl.mechanisms"].iter().any(|name| settings.properties.contains_key(*name));
    if with_sasl && settings.username.is_some() && !named {
        config.set("sasl.mechanism", "PLAIN");
    }
}

/// Whether librdkafka was built with a feature: `ssl`, `sasl`, `zstd`, …
pub(crate) fn has_feature(feature: &str) -> bool {
    let native = ClientConfig::new().create_native_config();
    let features = native.and_then(|native| native.get("builtin.features")).unwrap_or_default();
    let mut features = features.trim_end_matches('\0').split(',');
    features.any(|known| known.trim() == feature)
}

fn check_properties(
    opening: &mut Opening<'_>,
    section: &str,
    properties: &BTreeMap<String, String>,
    owned: &[Owned],
) {
    for (name, value) in properties {
        let place = format!("{section}.properties.{name}");
        let instead = owned.iter().flat_map(|table| table.iter()).find(|(known, _)| known == name);
        if let Some((_, instead)) = instead {
            opening.problems.add("owned-property", place, "Flare sets this property itself", *instead);
            continue;
        }
        let refused = ClientConfig::new().set(name, value).create_native_config().err();
        if let Some(KafkaError::ClientConfig(_, message, _, _)) = refused {
            let remedy = "see the list of librdkafka's properties";
            opening.problems.add("bad-property", place, message, remedy);
        }
    }
}

/// Whether the code says that no broker can be reached.
pub(crate) fn is_unreachable(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::BrokerTransportFailure | Code::AllBrokersDown | Code::Resolve | Code::OperationTimedOut
    )
}

/// Whether the code speaks of a state of the cluster that passes, and that librdkafka waits for by itself.
pub(crate) fn is_transient(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    is_unreachable(code)
        || matches!(
            code,
            Code::NodeUpdate
                | Code::WaitingForCoordinator
                | Code::WaitCache
                | Code::InProgress
                | Code::PreviousInProgress
                | Code::UnknownPartition
                | Code::MessageTimedOut
                | Code::RequestTimedOut
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::BrokerNotAvailable
                | Code::ReplicaNotAvailable
                | Code::NetworkException
                | Code::CoordinatorLoadInProgress
                | Code::CoordinatorNotAvailable
                | Code::NotCoordinator
                | Code::NotEnoughReplicas
                | Code::NotEnoughReplicasAfterAppend
                | Code::NotController
                | Code::KafkaStorageError
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
                | Code::OffsetNotAvailable
                | Code::ThrottlingQuotaExceeded
                | Code::PurgeQueue
                | Code::PurgeInflight
        )
}

/// A client that several may hold; the last one closes it, which may block, on a thread where that harms nobody.
pub(crate) struct Shared<T: Send + Sync + 'static>(Option<Arc<T>>);

impl<T: Send + Sync + 'static> Shared<T> {
    pub(crate) fn new(client: T) -> Self {
        Self(Some(Arc::new(client)))
    }

    pub(crate) fn handle(&self) -> Arc<T> {
        Arc::clone(self.inner())
    }

    fn inner(&self) -> &Arc<T> {
        self.0.as_ref().expect("taken only when dropped")
    }
}

impl<T: Send + Sync + 'static> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.inner()
    }
}

impl<T: Send + Sync + 'static> Drop for Shared<T> {
    fn drop(&mut self) {
        let client = self.0.take();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(client));
        }
    }
}
