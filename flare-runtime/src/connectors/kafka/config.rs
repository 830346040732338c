//! Settings of clusters, sources and sinks, and what they mean together.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::DateTime;

use crate::config::{Problems, choices, settings};
use crate::model::Secret;

choices! {
    /// How a connection is secured.
    pub enum Security {
        /// Nothing.
        Plaintext = "plaintext",
        /// TLS.
        Ssl = "ssl",
        /// User and password, without TLS.
        SaslPlaintext = "sasl_plaintext",
        /// User and password over TLS.
        SaslSsl = "sasl_ssl",
    }
}

choices! {
    /// Where reading starts.
    pub enum StartAt {
        /// At the group's committed offset; where nothing is committed, at the earliest.
        Committed = "committed",
        /// At the first record that is still there.
        Earliest = "earliest",
        /// Behind the last record.
        Latest = "latest",
        /// At the first record of `start_timestamp` or later.
        Timestamp = "timestamp",
        /// At `start_offsets`; partitions that it does not name start at the earliest.
        Offsets = "offsets",
    }
}

choices! {
    /// Where reading ends.
    pub enum EndAt {
        /// Nowhere.
        Never = "never",
        /// Behind the record that was last when the job started.
        Latest = "latest",
        /// Before the first record of `end_timestamp` or later; without one, as `latest`.
        Timestamp = "timestamp",
        /// Before `end_offsets`; partitions that it does not name end as with `latest`.
        Offsets = "offsets",
    }
}

choices! {
    /// How a record's partition is chosen.
    pub enum Partitioner {
        /// By the key's Murmur2 hash, as Java's producer does; without a key at random.
        Murmur2Random = "murmur2_random",
        /// By the key's CRC32 hash; without a key at random.
        ConsistentRandom = "consistent_random",
        /// At random.
        Random = "random",
        /// By the key's Murmur2 hash; all records without a key to one partition.
        Murmur2 = "murmur2",
        /// By the key's CRC32 hash; all records without a key to one partition.
        Consistent = "consistent",
        /// By the key's FNV-1a hash; all records without a key to one partition.
        Fnv1a = "fnv1a",
        /// By the key's FNV-1a hash; without a key at random.
        Fnv1aRandom = "fnv1a_random",
    }
}

choices! {
    /// How batches are compressed.
    pub enum Compression {
        /// Not at all.
        None = "none",
        /// gzip.
        Gzip = "gzip",
        /// Snappy.
        Snappy = "snappy",
        /// LZ4.
        Lz4 = "lz4",
        /// Zstandard.
        Zstd = "zstd",
    }
}

settings! {
    /// A Kafka cluster: the section `cluster.NAME`.
    pub struct ClusterSettings {
        /// Addresses of one or more brokers, `host:port`, separated by commas.
        brokers: String = "127.0.0.1:9092",
        /// How connections are secured: plaintext, ssl, sasl_plaintext or sasl_ssl.
        security_protocol: Security = "plaintext",
        /// User name for SASL.
        username: Option<String>,
        /// Password for SASL; `file:PATH` reads it from a file.
        password: Option<Secret>,
        /// Further librdkafka properties of all clients of this cluster.
        properties: BTreeMap<String, String>,
    }
}

settings! {
    /// A source that reads a Kafka topic.
    pub struct SourceSettings {
        /// The topic to read.
        topic: String,
        /// The cluster: the name of a section `cluster.NAME`.
        cluster: String = "kafka",
        /// The consumer group that offsets are committed to; by default the job's name.
        group: Option<String>,
        /// Where to start: committed, earliest, latest, timestamp or offsets.
        start: StartAt = "committed",
        /// With start = "timestamp": the moment, as "2026-01-31T08:00:00Z" or in milliseconds since 1970.
        start_timestamp: Option<String>,
        /// With start = "offsets": partition = offset of the first record to read.
        start_offsets: BTreeMap<String, String>,
        /// Where to end: never, latest, timestamp or offsets.
        end: EndAt = "never",
        /// With end = "timestamp": the moment, as "2026-01-31T08:00:00Z" or in milliseconds since 1970.
        end_timestamp: Option<String>,
        /// With end = "offsets": partition = offset of the first record not to read.
        end_offsets: BTreeMap<String, String>,
        /// How often to look for new partitions; 0s turns it off.
        discovery: Duration = "1m",
        /// Further librdkafka properties of the consumer.
        properties: BTreeMap<String, String>,
    }
}

settings! {
    /// A sink that writes to a Kafka topic.
    pub struct SinkSettings {
        /// The topic to write to.
        topic: String,
        /// The cluster: the name of a section `cluster.NAME`.
        cluster: String = "kafka",
        /// How a record's partition is chosen.
        partitioner: Partitioner = "murmur2_random",
        /// How long a record waits for others, so that they travel in one request.
        linger: Duration [from "0s" to "15m"] = "5ms",
        /// How batches are compressed: none, gzip, snappy, lz4 or zstd.
        compression: Compression = "none",
        /// Headers that every record gets.
        headers: BTreeMap<String, String>,
        /// How long a record is tried before the sink reports that the cluster is unavailable.
        delivery_timeout: Duration [from "1s" to "24h"] = "2m",
        /// Further librdkafka properties of the producer.
        properties: BTreeMap<String, String>,
    }
}

/// Where reading starts, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Committed,
    Earliest,
    Latest,
    Timestamp(i64),
    Offsets(BTreeMap<i32, i64>),
}

/// Where reading ends, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Never,
    Latest,
    Timestamp(i64),
    Offsets(BTreeMap<i32, i64>),
}

impl SourceSettings {
    /// Where to start and to end; what contradicts itself is added to `problems`. `section` names the settings.
    pub(crate) fn bounds(&self, section: &str, problems: &mut Problems) -> Option<(Start, End)> {
        let before = problems.len();
        let start = self.start(&mut Check { section, problems });
        let end = self.end(&mut Check { section, problems });
        if problems.len() > before { None } else { Some((start?, end?)) }
    }

    fn start(&self, check: &mut Check<'_>) -> Option<Start> {
        let is_timestamp = self.start == StartAt::Timestamp;
        let is_offsets = self.start == StartAt::Offsets;
        check.pair("start", "timestamp", is_timestamp, "start_timestamp", self.start_timestamp.is_some());
        check.pair("start", "offsets", is_offsets, "start_offsets", !self.start_offsets.is_empty());
        match self.start {
            StartAt::Committed => Some(Start::Committed),
            StartAt::Earliest => Some(Start::Earliest),
            StartAt::Latest => Some(Start::Latest),
            StartAt::Timestamp => {
                check.moment("start_timestamp", self.start_timestamp.as_deref()?).map(Start::Timestamp)
            }
            StartAt::Offsets => check.offsets("start_offsets", &self.start_offsets).map(Start::Offsets),
        }
    }

    fn end(&self, check: &mut Check<'_>) -> Option<End> {
        let is_timestamp = self.end == EndAt::Timestamp;
        let is_offsets = self.end == EndAt::Offsets;
        check.pair("end", "timestamp", is_timestamp, "end_timestamp", self.end_timestamp.is_some());
        check.pair("end", "offsets", is_offsets, "end_offsets", !self.end_offsets.is_empty());
        match self.end {
            EndAt::Never => Some(End::Never),
            EndAt::Latest => Some(End::Latest),
            EndAt::Timestamp => {
                check.moment("end_timestamp", self.end_timestamp.as_deref()?).map(End::Timestamp)
            }
            EndAt::Offsets => check.offsets("end_offsets", &self.end_offsets).map(End::Offsets),
        }
    }
}

impl SinkSettings {
    /// Adds what cannot work to `problems`.
    pub(crate) fn check(&self, section: &str, problems: &mut Problems) {
        let mut check = Check { section, problems };
        if self.linger >= self.delivery_timeout {
            let message = "records would wait longer for others than they may wait for the cluster";
            check.add("conflicting-settings", "linger", message, "set it below `delivery_timeout`");
        }
    }
}

struct Check<'a> {
    section: &'a str,
    problems: &'a mut Problems,
}

impl Check<'_> {
    fn add(&mut self, code: &'static str, name: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.problems.add(code, format!("{}.{name}", self.section), message, remedy);
    }

    /// `choice = "value"` and the setting `partner` come together or not at all.
    fn pair(&mut self, choice: &str, value: &str, chosen: bool, partner: &str, given: bool) {
        if chosen && !given {
            let message = format!("{choice} = \"{value}\" needs `{partner}`");
            self.add("missing-setting", partner, message, format!("set `{partner}`"));
        }
        if given && !chosen {
            let message = format!("`{partner}` counts only with {choice} = \"{value}\"");
            let remedy = format!("set {choice} = \"{value}\", or leave `{partner}` out");
            self.add("conflicting-settings", partner, message, remedy);
        }
    }

    fn moment(&mut self, name: &str, text: &str) -> Option<i64> {
        let millis = text.parse().ok();
        let millis = millis.or_else(|| Some(DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis()));
        let millis = millis.filter(|millis: &i64| *millis >= 0);
        if millis.is_none() {
            let remedy = "write it as \"2026-01-31T08:00:00Z\" or in milliseconds since 1970";
            self.add("bad-value", name, format!("`{text}` is no moment since 1970"), remedy);
        }
        millis
    }

    fn offsets(&mut self, name: &str, table: &BTreeMap<String, String>) -> Option<BTreeMap<i32, i64>> {
        let mut offsets = BTreeMap::new();
        for (partition, offset) in table {
            let number = partition.parse().ok().filter(|number: &i32| *number >= 0);
            let position = offset.parse().ok().filter(|position: &i64| *position >= 0);
            if let (Some(number), Some(position)) = (number, position) {
                offsets.insert(number, position);
            } else {
                let message = format!("`{partition} = {offset}` is no partition and offset");
                let remedy = format!("write {name} = {{ 0 = 1200, 1 = 0 }}");
                self.add("bad-value", name, message, remedy);
            }
        }
        (offsets.len() == table.len()).then_some(offsets)
    }
}
