//! Sinks and lookups on MySQL, MariaDB, PostgreSQL and SQLite.
//!
#![doc = include_str!("docs.md")]
#![cfg_attr(
    not(any(feature = "mysql", feature = "postgres", feature = "sqlite")),
    allow(unused, reason = "without any database's feature nothing can be connected to")
)]

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
#[cfg(all(test, any(feature = "mysql", feature = "postgres", feature = "sqlite")))]
mod tests;

pub use client::{Datasource, Transaction};
pub(crate) use config::datasource;
pub use config::{DatabaseUrl, DatasourceSettings, LookupSettings, Mode, SinkSettings};
pub use params::IntoParams;

use crate::api::{Connector, Registry};
use crate::config::Settings;

/// Adds the connector `jdbc`.
pub(crate) fn register(registry: &mut Registry) {
    let sink = Some(Box::new(sink::JdbcSinks) as _);
    let lookup = Some(Box::new(lookup::JdbcLookups) as _);
    let sections = vec![("datasource.NAME", DatasourceSettings::ALL)];
    registry.add("jdbc", Connector { source: None, sink, lookup, sections });
}
