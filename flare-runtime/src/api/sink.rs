//! Sinks: what writes records.

use std::sync::Arc;

use async_trait::async_trait;

use super::{ByteBatch, CreateSource, Metrics, RowBatch};
use crate::error::Result;
use crate::model::{OperatorId, Reject, Row};

/// Writes batches of `B`: [`ByteBatch`], [`RowBatch`], or `Batch<T>` for a user's own sink.
#[async_trait]
pub trait Sink<B>: Send {
    /// Writes the batch, or takes it for the next [`Sink::flush`]. Records that can never be written are added to
    /// `rejects`; they come from this batch or an earlier one.
    ///
    /// # Errors
    /// `Unavailable` or `Timeout`: nothing, or a part that may be repeated, was written; the same batch is written
    /// again. `BadRecord`: nothing was written because of at least one record; if the connector's
    /// [`Capability::atomic_batches`](super::Capability) is set, halves of the batch are tried until the bad records
    /// are found. Any other kind fails the job.
    async fn write(&mut self, batch: &B, rejects: &mut Vec<Reject>) -> Result<()>;

    /// Returns when everything taken so far is safe in the outside system.
    ///
    /// # Errors
    /// As [`Sink::write`]; a retryable error means that the call is repeated.
    async fn flush(&mut self, rejects: &mut Vec<Reject>) -> Result<()>;
}

/// What a sink's subtask is told when it is made.
#[derive(Clone, Debug)]
pub struct SinkContext {
    /// Id of the operator.
    pub operator: OperatorId,
    /// This subtask, from 0.
    pub index: usize,
    /// Number of subtasks.
    pub parallelism: usize,
    /// Where to count.
    pub metrics: Metrics,
    /// Whether the run adds to what an earlier one has written, which must stay.
    pub adds: bool,
}

/// Makes the subtasks of a sink.
#[async_trait]
pub trait CreateSink<B>: Send + Sync {
    /// What is written to, for reports: `mysql table order_wide`.
    fn describe(&self) -> String;

    /// Checks what can be checked without writing: that the table or topic is there and fits.
    ///
    /// # Errors
    /// What would keep the sink from starting.
    async fn check(&self) -> Result<()>;

    /// Makes the sink of one subtask.
    ///
    /// # Errors
    /// When it cannot start.
    async fn create(&self, cx: SinkContext) -> Result<Box<dyn Sink<B>>>;
}

/// Reads what a sink has written, by the shape of what it takes.
pub enum ReadBack {
    /// A source of payloads that ends where the written ones end.
    Bytes(Box<dyn CreateSource>),
    /// All rows.
    Rows(Box<dyn ReadRows>),
}

/// Reads the rows that a sink has written.
#[async_trait]
pub trait ReadRows: Send + Sync {
    /// All rows, in no order; a row has at least the columns of the sink's schema.
    ///
    /// # Errors
    /// When they cannot be read.
    async fn rows(&self) -> Result<Vec<Row>>;
}

/// A sink's maker, by the shape of what it takes.
#[derive(Clone)]
pub enum SinkFactory {
    /// Takes encoded records.
    Bytes(Arc<dyn CreateSink<ByteBatch>>),
    /// Takes rows.
    Rows(Arc<dyn CreateSink<RowBatch>>),
}

impl SinkFactory {
    /// What is written to.
    pub fn describe(&self) -> String {
        match self {
            Self::Bytes(factory) => factory.describe(),
            Self::Rows(factory) => factory.describe(),
        }
    }

    /// As [`CreateSink::check`].
    ///
    /// # Errors
    /// As [`CreateSink::check`].
    pub async fn check(&self) -> Result<()> {
        match self {
            Self::Bytes(factory) => factory.check().await,
            Self::Rows(factory) => factory.check().await,
        }
    }
}
