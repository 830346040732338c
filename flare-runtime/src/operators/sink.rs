//! The head of a stage that writes: buffer, flush interval, barriers.

use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::source::{OnError, turn_aside};
use crate::api::{
    Counter, DirtyStage, Downstream, Encode, Format, HostLink, InputPort, Sink, SinkBatch, Subtask, until,
};
use crate::config::settings;
use crate::error::Result;
use crate::model::{Batch, Control, Message, Reject};

settings! {
    /// Settings that every sink has, whatever its connector.
    pub struct SinkSettings {
        /// How a record becomes a payload: `json` or `csv`.
        format: Format = "json",
        /// Records that are written at once; the default is the connector's. 0 writes them as they come.
        batch: Option<usize>,
        /// How long a record may wait for a fuller batch.
        flush: Duration = "1s",
        /// What happens to a record that cannot be written: `dirty`, `skip` or `fail`.
        on_error: OnError = "dirty",
    }
}

/// What a sink's subtask is made of.
pub struct SinkSubtask<T, B> {
    /// The records.
    pub input: InputPort<T>,
    /// Makes the sink when the subtask starts.
    pub make: BoxFuture<'static, Result<Box<dyn Sink<B>>>>,
    /// Turns records into what the sink takes.
    pub encode: Box<dyn Encode<T, B>>,
    /// An empty batch.
    pub buffer: B,
    /// Records that are written at once; 0 for as they come.
    pub batch: usize,
    /// The common settings.
    pub settings: SinkSettings,
    /// The way of dirty records.
    pub downstream: Downstream<()>,
    /// The record as bytes, for one that cannot be encoded.
    pub raw: fn(&T) -> Vec<u8>,
}

/// A sink's subtask while it runs.
struct Writer<T, B> {
    sink: Box<dyn Sink<B>>,
    encode: Box<dyn Encode<T, B>>,
    buffer: B,
    batch: usize,
    settings: SinkSettings,
    downstream: Downstream<()>,
    raw: fn(&T) -> Vec<u8>,
    due: Option<Instant>,
    records_in: Counter,
    records_out: Counter,
    /// Refused records that were counted as written before.
    owed: usize,
}

impl<T: Send + 'static, B: SinkBatch + 'static> Writer<T, B> {
    async fn take(&mut self, batch: Batch<T>) -> Result<()> {
        self.records_in.add(batch.len() as u64);
        let mut unfit = Vec::new();
        for (item, meta) in batch.into_records() {
            if let Err(error) = self.encode.encode(&item, meta, &mut self.buffer) {
                unfit.push(Reject::new((self.raw)(&item), meta, error));
            }
            if self.batch > 0 && self.buffer.len() >= self.batch {
                self.write().await?;
            }
        }
        self.reject(unfit).await?;
        if self.batch == 0 {
            return self.write().await;
        }
        if !self.buffer.is_empty() && self.due.is_none() {
            self.due = Some(Instant::now() + self.settings.flush);
        }
        Ok(())
    }

    async fn write(&mut self) -> Result<()> {
        self.due = None;
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut rejects = Vec::new();
        let written = self.sink.write(&self.buffer, &mut rejects).await;
        written.map_err(|error| error.with("operator", &self.downstream.cx.subtask))?;
        self.count(self.buffer.len(), rejects.len());
        self.buffer.clear();
        self.reject(rejects).await
    }

    /// Everything taken so far is safe afterwards.
    async fn flush(&mut self) -> Result<()> {
        self.write().await?;
        let mut rejects = Vec::new();
        let flushed = self.sink.flush(&mut rejects).await;
        flushed.map_err(|error| error.with("operator", &self.downstream.cx.subtask))?;
        self.count(0, rejects.len());
        self.reject(rejects).await
    }

    /// Counts what was written. A sink may refuse records of an earlier batch, which are then taken from this one.
    fn count(&mut self, taken: usize, refused: usize) {
        self.owed += refused;
        let paid = self.owed.min(taken);
        self.owed -= paid;
        self.records_out.add((taken - paid) as u64);
    }

    async fn reject(&mut self, rejects: Vec<Reject>) -> Result<()> {
        turn_aside(&mut self.downstream, self.settings.on_error, DirtyStage::Write, rejects).await
    }
}

impl<T, B> SinkSubtask<T, B> {
    /// Makes the sink; what is left is the input.
    async fn open(self) -> Result<(InputPort<T>, Writer<T, B>)> {
        let Self { input, make, encode, buffer, batch, settings, downstream, raw } = self;
        let cx = &downstream.cx;
        let counter = |name| cx.metrics().counter(&cx.subtask.operator.0, name);
        let (records_in, records_out) = (counter("records_in"), counter("records_out"));
        let sink = make.await?;
        let (due, owed) = (None, 0);
        let writer = Writer {
            sink,
            encode,
            buffer,
            batch,
            settings,
            downstream,
            raw,
            due,
            records_in,
            records_out,
            owed,
        };
        Ok((input, writer))
    }
}

#[async_trait]
impl<T: Send + 'static, B: SinkBatch + 'static> Subtask for SinkSubtask<T, B> {
    async fn run(self: Box<Self>, link: HostLink) -> Result<()> {
        let (mut input, mut writer) = self.open().await?;
        loop {
            let message = tokio::select! {
                biased;
                () = until(writer.due) => {
                    writer.write().await?;
                    continue;
                }
                message = input.next() => message?,
            };
            match message {
                Message::Batch(batch) => writer.take(batch).await?,
                Message::Control(Control::End) => {
                    writer.flush().await?;
                    return writer.downstream.end(&link).await;
                }
                Message::Control(control) => {
                    if let Control::Barrier(barrier) = control {
                        writer.flush().await?;
                        writer.downstream.control(control).await?;
                        link.acknowledge(barrier, Default::default()).await;
                    }
                }
            }
        }
    }
}
