//! A sink that prints records to standard output, a line each; the job's summary then goes to standard error.

use std::io::Write as _;
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
    /// Settings of the print sink.
    pub struct PrintSettings {
        /// Text before each record.
        prefix: String = "",
    }
}

struct Print {
    settings: PrintSettings,
}

#[async_trait]
impl CreateSink<ByteBatch> for Print {
    fn describe(&self) -> String {
        "standard output".to_owned()
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }

    async fn create(&self, _cx: SinkContext) -> Result<Box<dyn Sink<ByteBatch>>> {
        Ok(Box::new(Self { settings: self.settings.clone() }))
    }
}

#[async_trait]
impl Sink<ByteBatch> for Print {
    async fn write(&mut self, batch: &ByteBatch, _rejects: &mut Vec<Reject>) -> Result<()> {
        let mut out = std::io::stdout().lock();
        for index in 0..batch.len() {
            out.write_all(self.settings.prefix.as_bytes())?;
            out.write_all(batch.payload(index))?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    async fn flush(&mut self, _rejects: &mut Vec<Reject>) -> Result<()> {
        Ok(std::io::stdout().flush()?)
    }
}

struct Printing;

impl SinkConnector for Printing {
    fn capability(&self) -> Capability {
        Capability { batch: 0, standard_output: true, ..Capability::NONE }
    }

    fn settings(&self) -> &'static [Setting] {
        PrintSettings::ALL
    }

    fn open(&self, opening: &mut Opening<'_>, _subtasks: usize) -> Option<SinkFactory> {
        let settings = opening.settings()?;
        Some(SinkFactory::Bytes(Arc::new(Print { settings })))
    }
}

pub(crate) fn register(registry: &mut Registry) {
    registry.add("print", Connector { sink: Some(Box::new(Printing)), ..Connector::default() });
}
