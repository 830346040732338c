#![doc = include_str!("docs.md")]

mod client;
mod config;
mod dialect;
mod driver;
mod fault;
mod key_query;
mod lookup;
#[cfg(feature = "mysql")]
mod mysql;
mod params;
#[cfg(feature = "postgres")]
mod postgres;
mod sink;
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statement;
mod table;
#[cfg(test)]
mod tests;

pub use client::{Datasource, Transaction};
pub use config::{DatabaseUrl, DatasourceSettings, LookupSettings, Mode, SinkSettings};
pub use params::IntoParams;

use crate::api::{Connector, Registry};

/// Adds the connector `jdbc`.
#[cfg_attr(not(test), allow(dead_code, reason = "called where connectors are registered"))]
pub(crate) fn register(registry: &mut Registry) {
    let sink = Some(Box::new(sink::JdbcSinks) as _);
    let lookup = Some(Box::new(lookup::JdbcLookups) as _);
    registry.add("jdbc", Connector { source: None, sink, lookup });
}
