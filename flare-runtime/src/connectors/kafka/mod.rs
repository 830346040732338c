#![doc = include_str!("docs.md")]

mod client;
mod config;
mod deliveries;
mod discovery;
mod events;
mod offsets;
mod partitions;
mod sink;
mod source;
#[cfg(test)]
mod tests;

pub use config::{
    ClusterSettings, Compression, EndAt, Partitioner, Security, SinkSettings, SourceSettings, StartAt,
};

use crate::api::{Connector, Registry};

/// Adds the connector `kafka`.
pub(crate) fn register(registry: &mut Registry) {
    let connector = Connector {
        source: Some(Box::new(source::KafkaSources)),
        sink: Some(Box::new(sink::KafkaSinks)),
        lookup: None,
    };
    registry.add("kafka", connector);
}
