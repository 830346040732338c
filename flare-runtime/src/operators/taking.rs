//! A sink's head for functions: takes records one by one, and turns aside what is refused.

use std::sync::Arc;

use async_trait::async_trait;

use crate::api::{Counter, DirtyStage, Downstream, HostLink, InputPort, Subtask};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Batch, Control, Message, Reject};

/// Takes a record that came behind the barrier of this number, or gives it back with the reason.
pub type Take<T> = Arc<dyn Fn(T, u64) -> Result<(), Box<(T, Error)>> + Send + Sync>;

/// What a function's head is made of.
pub struct TakingParts<T> {
    /// The records.
    pub input: InputPort<T>,
    /// The way of dirty records.
    pub downstream: Downstream<()>,
    /// Takes each record.
    pub take: Take<T>,
    /// Shows a record that was refused.
    pub raw: fn(&T) -> Vec<u8>,
    /// The number of the last barrier before this run.
    pub last_barrier: u64,
}

/// Gives each record to a function.
pub struct Taking<T> {
    parts: TakingParts<T>,
    records_out: Counter,
}

impl<T: Send + 'static> Taking<T> {
    /// A head of these parts.
    pub fn new(parts: TakingParts<T>) -> Self {
        let cx = &parts.downstream.cx;
        let records_out = cx.metrics().counter(&cx.subtask.operator.0, "records_out");
        Self { parts, records_out }
    }

    async fn batch(&mut self, batch: Batch<T>) -> Result<()> {
        let TakingParts { downstream, take, raw, last_barrier, .. } = &mut self.parts;
        let mut rejects = Vec::new();
        for (item, meta) in batch.into_records() {
            let Err(refused) = take(item, *last_barrier) else {
                self.records_out.add(1);
                continue;
            };
            let (item, error) = *refused;
            if error.kind() != ErrorKind::BadRecord {
                return Err(error.with("operator", &downstream.cx.subtask));
            }
            rejects.push(Reject::new(raw(&item), meta, error));
        }
        downstream.reject(DirtyStage::Write, rejects).await
    }
}

#[async_trait]
impl<T: Send + 'static> Subtask for Taking<T> {
    async fn run(mut self: Box<Self>, link: HostLink) -> Result<()> {
        loop {
            match self.parts.input.next().await? {
                Message::Batch(batch) => self.batch(batch).await?,
                Message::Control(Control::End) => return self.parts.downstream.end(&link).await,
                Message::Control(control) => {
                    self.parts.downstream.control(control).await?;
                    if let Control::Barrier(barrier) = control {
                        self.parts.last_barrier = barrier.id;
                        link.acknowledge(barrier, Default::default()).await;
                    }
                }
            }
        }
    }
}
