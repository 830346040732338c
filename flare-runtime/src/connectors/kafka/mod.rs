//! Reads and writes Kafka topics.
//!
#![doc = include_str!("docs.md")]

mod client;
mod config;
mod deliveries;
mod discovery;
mod events;
mod limits;
mod offsets;
mod partitions;
mod sink;
mod source;
#[cfg(test)]
mod tests;
mod writer;

pub use config::{
    ClusterSettings, Compression, EndAt, Partitioner, Security, SinkSettings, SourceSettings, StartAt,
};

use crate::api::{Connector, Registry};
use crate::config::Settings;

/// Adds the connector `kafka`.
pub(crate) fn register(registry: &mut Registry) {
    let connector = Connector {
        source: Some(Box::new(source::KafkaSources)),
        sink: Some(Box::new(sink::KafkaSinks)),
        lookup: None,
        sections: vec![("cluster.NAME", ClusterSettings::ALL)],
    };
    registry.add("kafka", connector);
}
