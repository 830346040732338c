//! A sink that writes records to the log: where dirty records go when nothing else is configured.

use std::sync::Arc;

use async_trait::async_trait;

use crate::api::{
    ByteBatch, Capability, Connector, CreateSink, Opening, Registry, Sink, SinkBatch, SinkConnector,
    SinkContext, SinkFactory,
};
use crate::config::{Setting, Settings, settings};
use crate::error::Result;
use crate::model::Reject;

settings! {
    /// Settings of the log sink.
    pub struct LogSettings {
        /// Text before each record.
        prefix: String = "",
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
        for index in 0..batch.len() {
            let record = String::from_utf8_lossy(batch.payload(index));
            tracing::warn!("{}{record}", self.settings.prefix);
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

    fn open(&self, opening: &mut Opening<'_>) -> Option<SinkFactory> {
        let settings = opening.settings()?;
        Some(SinkFactory::Bytes(Arc::new(Log { settings })))
    }
}

pub(crate) fn register(registry: &mut Registry) {
    registry.add("log", Connector { sink: Some(Box::new(Logging)), ..Connector::default() });
}
