//! A sink that writes records to the log: where dirty records go when nothing else is configured.

use std::sync::Arc;

use async_trait::async_trait;

use crate::api::{
    ByteBatch, Capability, Connector, CreateSink, Opening, Registry, Sink, SinkBatch, SinkConnector,
    SinkContext, SinkFactory,
};
use crate::config::{Setting, Settings, choices, settings};
use crate::error::Result;
use crate::model::Reject;

choices! {
    /// How much a line of the log weighs.
    pub enum LogLevel {
        /// What goes as it should.
        Info = "info",
        /// What somebody should look at.
        Warn = "warn",
    }
}

settings! {
    /// Settings of the log sink.
    pub struct LogSettings {
        /// Text before each record.
        prefix: String = "",
        /// The level of the lines: `info` or `warn`; dirty records have `warn` if nothing else is set.
        level: LogLevel = "info",
    }
}

#[derive(Clone)]
struct Log {
    settings: LogSettings,
}

#[async_trait]
impl CreateSink<ByteBatch> for Log {
    fn describe(&self) -> String {
        "the log".to_owned()
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }

    async fn create(&self, _cx: SinkContext) -> Result<Box<dyn Sink<ByteBatch>>> {
        Ok(Box::new(self.clone()))
    }
}

#[async_trait]
impl Sink<ByteBatch> for Log {
    async fn write(&mut self, batch: &ByteBatch, _rejects: &mut Vec<Reject>) -> Result<()> {
        let LogSettings { prefix, level } = &self.settings;
        for index in 0..batch.len() {
            let record = String::from_utf8_lossy(batch.payload(index));
            match level {
                LogLevel::Info => tracing::info!("{prefix}{record}"),
                LogLevel::Warn => tracing::warn!("{prefix}{record}"),
            }
        }
        Ok(())
    }

    async fn flush(&mut self, _rejects: &mut Vec<Reject>) -> Result<()> {
        Ok(())
    }
}

struct Logging;

impl SinkConnector for Logging {
    fn capability(&self) -> Capability {
        Capability { batch: 0, ..Capability::NONE }
    }

    fn settings(&self) -> &'static [Setting] {
        LogSettings::ALL
    }

    fn open(&self, opening: &mut Opening<'_>, _subtasks: usize) -> Option<SinkFactory> {
        let settings = opening.settings()?;
        Some(SinkFactory::Bytes(Arc::new(Log { settings })))
    }
}

pub(crate) fn register(registry: &mut Registry) {
    registry.add("log", Connector { sink: Some(Box::new(Logging)), ..Connector::default() });
}
