//! A sink's head for functions: takes records one by one, and turns aside what is refused.

use std::sync::Arc;

use async_trait::async_trait;

use crate::api::{Counter, DirtyStage, Downstream, HostLink, InputPort, Subtask};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Batch, Control, Message, Reject};

/// Takes a record, or gives it back with the reason.
pub type Take<T> = Arc<dyn Fn(T) -> Result<(), Box<(T, Error)>> + Send + Sync>;

/// Gives each record to a function.
pub struct Taking<T> {
    input: InputPort<T>,
    downstream: Downstream<()>,
    take: Take<T>,
    raw: fn(&T) -> Vec<u8>,
    records_out: Counter,
}

impl<T: Send + 'static> Taking<T> {
    /// A head that gives to `take` what comes in; `raw` shows a record that was refused.
    pub fn new(
        input: InputPort<T>,
        downstream: Downstream<()>,
        take: Take<T>,
        raw: fn(&T) -> Vec<u8>,
        records_out: Counter,
    ) -> Self {
        Self { input, downstream, take, raw, records_out }
    }

    async fn batch(&mut self, batch: Batch<T>) -> Result<()> {
        let mut rejects = Vec::new();
        for (item, meta) in batch.into_records() {
            let Err(refused) = (self.take)(item) else {
                self.records_out.add(1);
                continue;
            };
            let (item, error) = *refused;
            if error.kind() != ErrorKind::BadRecord {
                return Err(error.with("operator", &self.downstream.cx.subtask));
            }
            rejects.push(Reject::new((self.raw)(&item), meta, error));
        }
        self.downstream.reject(DirtyStage::Write, rejects).await
    }
}

#[async_trait]
impl<T: Send + 'static> Subtask for Taking<T> {
    async fn run(mut self: Box<Self>, link: HostLink) -> Result<()> {
        loop {
            match self.input.next().await? {
                Message::Batch(batch) => self.batch(batch).await?,
                Message::Control(Control::End) => return self.downstream.end(&link).await,
                Message::Control(control) => {
                    self.downstream.control(control).await?;
                    if let Control::Barrier(barrier) = control {
                        link.acknowledge(barrier, Default::default()).await;
                    }
                }
            }
        }
    }
}
